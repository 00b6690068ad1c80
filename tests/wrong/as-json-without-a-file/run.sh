triaged check --config nowhere.toml --json
