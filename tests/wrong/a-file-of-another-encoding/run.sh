printf 'instance = "one"\n[kafka]\nbootstrap = "caf\351:9092"\n' >triaged.toml
triaged check --config triaged.toml
