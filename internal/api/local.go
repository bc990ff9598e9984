package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// checkLocal refuses a caller without a key who only seems to be on this machine: a page of another site
// under a name that was pointed at 127.0.0.1, or whoever stands behind a proxy.
func checkLocal(r *http.Request) *huma.ErrorModel {
	const cure = "without API keys only this machine is answered, as localhost or 127.0.0.1; make a key with backoffice api-keys create"
	if !isLoopback(r.Host) {
		return problemAt(http.StatusForbidden, "header.Host", cure)
	}
	for _, name := range proxyHeaders {
		if r.Header.Values(name) != nil {
			return problemAt(http.StatusForbidden, "header."+name, "the request came through a proxy; "+cure)
		}
	}
	return nil
}

// proxyHeaders are what proxies add, were it empty. Some add none of them, which cannot be told from here.
var proxyHeaders = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Cf-Connecting-Ip"}

// isLoopback says whether a Host header names this machine from its inside.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback()
	}
	return host == "localhost"
}
