package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
)

// apiProcess is the program as the API, in a process of its own.
type apiProcess struct {
	*exec.Cmd
	url string
}

// startAPI starts the API on any port and returns once it listens. Settings are environment variables.
func (s shop) startAPI(addr string, settings ...string) apiProcess {
	s.t.Helper()
	program := process(s.t, "api", "--addr", addr, "--database-url", s.url, "--log-format", "json")
	program.Env = append(program.Env, settings...)
	stderr, err := program.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	seen := readUntil(lines, `"api started"`)
	var started struct{ Address string }
	if err := json.Unmarshal([]byte(seen[strings.LastIndex(strings.TrimSpace(seen), "\n")+1:]), &started); err != nil {
		s.t.Fatalf("the API did not start: %s", seen)
	}
	go io.Copy(io.Discard, stderr) //nolint:errcheck // ends with the program
	return apiProcess{program, "http://127.0.0.1" + started.Address[strings.LastIndex(started.Address, ":"):]}
}

// send answers status and body; headers alternate names and values.
func (a apiProcess) send(method, path, body string, headers ...string) (int, string, error) {
	request, err := http.NewRequest(method, a.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func TestAPITakesAnOrderThatAWorkerProcesses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	api := s.startAPI("127.0.0.1:0")
	status, body, err := api.send(http.MethodPost, "/api/orders", `{"number":"W-1","lines":[{"sku":"TIN","quantity":1,"unit_price":"3.2"}]}`)
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("place: %d %s %v", status, body, err)
	}
	s.text("worker", "--once")
	if status, body, err = api.send(http.MethodGet, "/api/orders/1", ""); err != nil || status != http.StatusOK || !strings.Contains(body, `"status":"processed"`) {
		t.Errorf("follow: %d %s %v", status, body, err)
	}
	if status, body, err = api.send(http.MethodGet, "/readyz", ""); err != nil || status != http.StatusOK {
		t.Errorf("readyz: %d %s %v", status, body, err)
	}
	s.exec(`delete from backoffice_migrations where name = '007_api'`)
	if status, body, err = api.send(http.MethodGet, "/readyz", ""); err != nil || status != http.StatusServiceUnavailable || !strings.Contains(body, "migrate up") {
		t.Errorf("readyz on an old schema: %d %s %v", status, body, err)
	}
	if err := api.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := api.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit code 0", err)
	}
	refused(t, s.try("api", "--addr", "127.0.0.1:0"), exitFailed, "007_api", "backoffice migrate up")
}

func TestAPIWantsAKeyWhereOthersCanCall(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	sentence := []string{`--addr ":0"`, "no API key yet", "backoffice api-keys create", "BACKOFFICE_API_KEY"}
	refused(t, s.try("api", "--addr", ":0"), exitFailed, sentence...)
	s.text("api-keys", "create", "shop", "--scope", "read")
	s.text("api-keys", "revoke", "shop")
	refused(t, s.try("api", "--addr", ":0"), exitFailed, sentence...)

	file := filepath.Join(t.TempDir(), "key")
	secret := strings.Repeat("0123456789abcdef", 4)
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	api := s.startAPI(":0", "BACKOFFICE_API_KEY_FILE="+file)
	if status, body, err := api.send(http.MethodGet, "/api/orders", ""); err != nil || status != http.StatusUnauthorized {
		t.Errorf("without a key: %d %s %v", status, body, err)
	}
	if status, body, err := api.send(http.MethodGet, "/api/orders", "", "Authorization", "Bearer "+secret); err != nil || status != http.StatusOK {
		t.Errorf("with the key: %d %s %v", status, body, err)
	}
}

func TestAPIRefusesSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, tc := range []struct {
		args  string
		code  int
		words []string
	}{
		{"--addr nowhere.invalid:80", exitFailed, []string{`--addr "nowhere.invalid:80"`}},
		{"--addr 127.0.0.1:http:80", exitUsage, []string{"--addr", "write it like"}},
		{"--max-body-bytes 10", exitUsage, []string{"--max-body-bytes 10 is out of range; use 1024"}},
		{"--max-batch-bytes 2000000000", exitUsage, []string{"--max-batch-bytes 2000000000"}},
		{"--read-timeout 0s", exitUsage, []string{"--read-timeout 0s"}},
		{"--request-timeout -1s", exitUsage, []string{"--request-timeout -1s"}},
		{"--pool-size 1", exitUsage, []string{"--pool-size 1 is out of range; use 2"}},
		{"--api-key secret", exitUsage, []string{"API key", "openssl rand -hex 32"}},
		{"--api-key a --api-key-file b", exitUsage, []string{"give one"}},
		{"--api-key-file /nowhere/key", exitUsage, []string{"--api-key-file", "/nowhere/key"}},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			refused(t, s.try(append([]string{"api"}, strings.Fields(tc.args)...)...), tc.code, tc.words...)
		})
	}
}

func TestAPIWarnsWhileNobodyNeedsAKey(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	warned := func() string {
		var text bytes.Buffer
		if err := warnOpen(t.Context(), pool, slog.New(slog.NewTextHandler(&text, nil))); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	contains(t, warned(), "level=WARN", "make a key before you put a proxy in front")
	if _, _, err := api.CreateKey(t.Context(), pool, "shop", api.Scopes()); err != nil {
		t.Fatal(err)
	}
	if text := warned(); text != "" {
		t.Errorf("with a key: %s", text)
	}
}
