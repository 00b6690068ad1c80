chmod 000 triaged.toml
triaged check --config triaged.toml
