// The programs that are no npm packages: how to know that they are here, and which packages bring them.

/**
 * `programs`: each inner list has names of which one must be there. `folders`: where to look besides PATH; a `*` stands
 * for whatever is in its place. `packages`: by package manager. `units`: the services that Debian's packages bring along.
 */
export const PARTS = {
  redis: {
    missing: 'No redis-server (or valkey-server) on PATH.',
    programs: [['redis-server', 'valkey-server']],
    folders: [],
    packages: { apt: 'redis-server', brew: 'redis', dnf: 'valkey', apk: 'valkey', pacman: 'valkey', zypper: 'valkey' },
    units: ['redis-server.service'],
  },
  postgresql: {
    missing: 'No PostgreSQL server (initdb, postgres) on PATH.',
    programs: [['initdb'], ['postgres']],
    // Most systems keep the server's programs off the PATH, so that several versions can be installed.
    folders: [
      '/usr/lib/postgresql/*/bin',
      '/usr/lib/postgresql*/bin',
      '/usr/libexec/postgresql*',
      '/usr/pgsql-*/bin',
      '/opt/homebrew/opt/postgresql@*/bin',
      '/usr/local/opt/postgresql@*/bin',
    ],
    packages: {
      apt: 'postgresql',
      brew: 'postgresql@17',
      dnf: 'postgresql-server',
      apk: 'postgresql',
      pacman: 'postgresql',
      zypper: 'postgresql-server',
    },
    units: ['postgresql.service'],
  },
  prometheus: {
    missing: 'No prometheus (with promtool) on PATH.',
    programs: [['prometheus'], ['promtool']],
    folders: [],
    packages: {
      apt: 'prometheus',
      brew: 'prometheus',
      dnf: 'golang-github-prometheus',
      apk: 'prometheus',
      pacman: 'prometheus',
      zypper: 'golang-github-prometheus-prometheus',
    },
    units: ['prometheus.service'],
  },
}

/** The command that installs the parts with each package manager, for a person to run. */
export const INSTALL_COMMANDS = {
  apt: (packages, sudo) => `${sudo}apt-get update && ${sudo}apt-get install -y ${packages}`,
  brew: (packages) => `brew install ${packages}`,
  dnf: (packages, sudo) => `${sudo}dnf install -y ${packages}`,
  apk: (packages, sudo) => `${sudo}apk add ${packages}`,
  pacman: (packages, sudo) => `${sudo}pacman -S --noconfirm ${packages}`,
  zypper: (packages, sudo) => `${sudo}zypper --non-interactive install ${packages}`,
}
