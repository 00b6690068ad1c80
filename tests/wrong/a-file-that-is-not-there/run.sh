triaged check --config triged.toml
