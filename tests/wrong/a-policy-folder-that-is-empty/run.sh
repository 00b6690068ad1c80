rm -r policy
mkdir policy
triaged check --config triaged.toml
