echo '{"mention_id":"x:1","network":"x","author":{"id":"u"},"text":"my television is broken"}' >one.json
triaged explain --config triaged.toml --mention one.json --rule tv-brocken
