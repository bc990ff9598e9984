package periodic

// SyncAt is Sync at a test's instant.
var SyncAt = syncAt
