// An API that takes access tokens and API keys alike, by asking Latchkey (RFC 7662); the standard library is enough.
//
//	INTROSPECT=http://CLIENT_ID:CLIENT_SECRET@localhost:3000/oauth2/introspect PORT=8081 go run examples/resource-server.go
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// caller answers whose credential a request brings, whatever kind it is, or the status to refuse it with.
func caller(r *http.Request) (who map[string]any, status int) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	answer, err := http.PostForm(os.Getenv("INTROSPECT"), url.Values{"token": {token}})
	if err != nil {
		return nil, 503
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 || json.NewDecoder(answer.Body).Decode(&who) != nil {
		return nil, 503
	}
	if who["active"] != true || who["cnf"] != nil { // DPoP proofs are not checked here
		return nil, 401
	}
	return who, 200
}

func main() {
	http.HandleFunc("/reports", func(w http.ResponseWriter, r *http.Request) {
		who, status := caller(r)
		scope, _ := who["scope"].(string)
		if status == 200 && !strings.Contains(" "+scope+" ", " reports:read ") {
			status = 403
		}
		if status != 200 {
			w.Header().Set("WWW-Authenticate", map[int]string{401: "Bearer", 403: `Bearer error="insufficient_scope"`}[status])
			http.Error(w, http.StatusText(status), status)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"caller": who["sub"]})
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
