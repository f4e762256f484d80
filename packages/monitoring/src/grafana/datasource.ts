/** The uid of the datasource that docker-compose.yml provisions. */
export const DATASOURCE = { type: 'prometheus', uid: 'prometheus' } as const
