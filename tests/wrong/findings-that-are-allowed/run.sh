triaged check --config triaged.toml --allow shared-partition
triaged check --config triaged.toml --allow shared-partitions || exit $?
