package console

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// guard keeps out requests that pages of others have browsers send. SQL runs for requests that
//
//   - name the console by an address, by localhost or by a name that it knows: a stranger's name that resolves to this machine
//     (DNS rebinding) is none;
//   - come from the console's own page, as far as the browser says where they come from (Sec-Fetch-Site, Origin);
//   - carry a header that no page can add to a request for another origin without being asked for permission, which nobody
//     gives here: see requiredHeader.
type guard struct{ hosts []string }

// requiredHeader is a part of every request below /api/.
const requiredHeader = "X-Scree-Console"

func newGuard(hosts []string) guard {
	g := guard{hosts: []string{"localhost"}}
	for _, h := range hosts {
		if h != "" {
			g.hosts = append(g.hosts, strings.ToLower(h))
		}
	}
	return g
}

// refuses tells why a request is not served; empty: it is.
func (g guard) refuses(r *http.Request) (status int, reason string) {
	if !g.knows(r.Host) {
		return http.StatusMisdirectedRequest, "the console is not known by the name of " + r.Host
	}
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		return 0, ""
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return http.StatusForbidden, "requests come from the console's own page"
	}
	if origin := r.Header.Get("Origin"); origin != "" && !sameHost(origin, r.Host) {
		return http.StatusForbidden, "requests come from the console's own page"
	}
	if r.Header.Get(requiredHeader) == "" {
		return http.StatusForbidden, "requests have a header " + requiredHeader
	}
	return 0, ""
}

// knows reports whether the Host of a request is an address or one of the console's names.
func (g guard) knows(hostPort string) bool {
	host := hostPort
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return net.ParseIP(host) != nil || slices.Contains(g.hosts, strings.ToLower(host))
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host == host
}

// setHeaders has browsers load nothing from elsewhere, and show the page in no other.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}
