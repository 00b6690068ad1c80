chmod 600 token
triaged check --config triaged.toml
triaged run --config triaged.toml
