# The shares of samples, in percent, as one JSON object: `perf script | awk -f scripts/profile.d/shares.awk`.
#
# Owns what counts as which work; called by scripts/profile, shown by benches/page. A sample is its thread's name and its
# frames, innermost first. Threads are told apart by name. A sample whose innermost frame is the kernel's is `kernel`; of
# these, one with a page fault on its stack is `fresh pages`. Any sample on the way into a lock or to another thread, in the
# kernel or before it, is `locks, switching`. All others are of the kind of the innermost frame that has one: a comparison
# that the matcher calls is matching, a copy that the parser calls is copying. What no kind claims stands in none.

BEGIN {
  columns = "reading, scanning, deciding|desk|client library's threads|delivery reports" \
    "|kernel|fresh pages|locks, switching|JSON|matching|allocator|copying|lz4"
}

/^[^ \t]/ { thread = $1; count = 0; next }
NF > 0 { frames[++count] = $0; next }
{ sample() }
END {
  sample()
  if (total == 0) { print "profile: the recording holds no samples" >"/dev/stderr"; exit 1 }
  if (!("kernel" in shares)) {
    print "profile: the kernel is not in the recording; run as root, or set kernel.perf_event_paranoid to 1" >"/dev/stderr"
    exit 1
  }
  printf "{\"samples\": %d, \"shares\": {", total
  for (i = 1; i <= split(columns, names, "|"); i++)
    printf "%s\"%s\": %.1f", (i > 1 ? ", " : ""), names[i], 100 * shares[names[i]] / total
  print "}}"
}

function sample(   i, kind) {
  if (count == 0) return
  total++
  if (group(thread) != "") shares[group(thread)]++
  if (frames[1] ~ /\(\[kernel|\(\[guest\.kernel|\.ko\)/) {
    shares["kernel"]++
    if (any("exc_page_fault|do_page_fault|handle_mm_fault|el0_da")) shares["fresh pages"]++
    if (any("futex|schedule")) shares["locks, switching"]++
  } else {
    for (i = 1; i <= count && kind == ""; i++) kind = work(frames[i])
    if (kind != "") shares[kind]++
  }
  count = 0
}

function any(pattern,   i) {
  for (i = 1; i <= count; i++) if (frames[i] ~ pattern) return 1
  return 0
}

function group(name) {
  if (name ~ /^(triage|worker)-/) return "reading, scanning, deciding"
  if (name == "desk") return "desk"
  if (name ~ /^rdk:/) return "client library's threads"
  if (name ~ /^report-/) return "delivery reports"
  return ""
}

# The allocators are the system's, which the client library uses, and the daemon's own (mimalloc).
function work(frame) {
  if (frame ~ / LZ4_/) return "lz4"
  if (frame ~ /pthread_(mutex|cond|rwlock)|lll_lock|parking_lot|sync::.*(mutex|condvar|futex)/) return "locks, switching"
  if (frame ~ / (__)?(mem(move|cpy))[_+@]/) return "copying"
  if (frame ~ / (__libc_)?(malloc|calloc|realloc|cfree|free|malloc_consolidate|unlink_chunk|sysmalloc)[+@_. ]/) return "allocator"
  if (frame ~ / (_int_(malloc|free|realloc)|tcache_|__GI___libc_(malloc|free)|_?mi_)/) return "allocator"
  if (frame ~ /simd_json|serde_json|triaged::wire::mention/) return "JSON"
  if (frame ~ /triage_engine::scan::|\(.*libhs\.so|triaged::hyperscan/) return "matching"
  return ""
}
