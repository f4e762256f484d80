export function generateDocs(): Promise<Map<string, string>>
