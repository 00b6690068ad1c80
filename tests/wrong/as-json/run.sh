triaged check --config triaged.toml --json
