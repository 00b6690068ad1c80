triaged test --config triaged.toml >report; code=$?
sed 's/ in [0-9.]* s$/ in 0.01 s/' report; exit $code
