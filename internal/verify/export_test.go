package verify

// RunIn makes every check in a transaction that a test has broken and will roll back.
var RunIn = run
