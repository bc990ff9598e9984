package main

import (
	"strings"
	"testing"
)

func TestAPIKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	contains(t, s.text("api-keys", "list"), "no keys")
	printed := s.text("api-keys", "create", "shop", "--scope", "enqueue", "--scope", "read")
	secret, _, _ := strings.Cut(printed, "\n")
	if !strings.HasPrefix(secret, "bo_") || !strings.Contains(printed, "not shown again") {
		t.Errorf("api-keys create prints %q", printed)
	}
	listed := s.text("api-keys", "list")
	contains(t, listed, "shop", "enqueue, read", "..."+secret[len(secret)-4:])
	if strings.Contains(listed, secret) {
		t.Error("the list shows the key")
	}
	refused(t, s.try("api-keys", "create", "shop", "--scope", "read"), exitFailed, `"shop" is in use`)
	refused(t, s.try("api-keys", "create", "ci"), exitUsage, `"ci" has no scope`, "enqueue, read, operate")
	refused(t, s.try("api-keys", "create", "ci", "--scope", "admin"), exitUsage, `"admin" is unknown`)
	refused(t, s.try("api-keys", "create", "my shop", "--scope", "read"), exitUsage, `"my shop"`)
	refused(t, s.try("api-keys", "revoke", "ci"), exitFailed, `no key named "ci"`)
	contains(t, s.text("api-keys", "revoke", "shop"), "key shop (..."+secret[len(secret)-4:]+") is revoked")

	var made struct{ Name, Key string }
	s.json(&made, "api-keys", "create", "ci", "--scope", "operate")
	var keys []struct {
		Name      string
		RevokedAt *string `json:"revoked_at"`
	}
	s.json(&keys, "api-keys", "list")
	if made.Key == "" || len(keys) != 2 || keys[0].RevokedAt == nil || keys[1].Name != "ci" || keys[1].RevokedAt != nil {
		t.Errorf("made %+v, listed %+v", made, keys)
	}
}
