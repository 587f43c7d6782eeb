// An API in Go that takes access tokens and API keys alike, by asking Latchkey (RFC 7662); the standard library is enough.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
)

type caller struct {
	Active bool            `json:"active"`
	Sub    string          `json:"sub"`
	Scope  string          `json:"scope"`
	Bound  json.RawMessage `json:"cnf"`
}

func introspect(token string) (who caller, status int) {
	form := strings.NewReader(url.Values{"token": {token}}.Encode())
	ask, _ := http.NewRequest("POST", os.Getenv("ISSUER")+"/oauth2/introspect", form)
	ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	ask.SetBasicAuth(os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET")) // the client this resource server is
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return who, 503
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 || json.NewDecoder(answer.Body).Decode(&who) != nil {
		return who, 503
	}
	if !who.Active || who.Bound != nil { // bound to a key (DPoP), whose proof this API does not check
		return who, 401
	}
	return who, 200
}

func reports(w http.ResponseWriter, r *http.Request) {
	who, status := caller{}, 401
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") && token != "" {
		who, status = introspect(token)
	}
	if status == 200 && !strings.Contains(" "+who.Scope+" ", " reports:read ") {
		status = 403
	}
	if status != 200 {
		w.Header().Set("WWW-Authenticate", map[int]string{401: "Bearer", 403: `Bearer error="insufficient_scope"`}[status])
		http.Error(w, http.StatusText(status), status)
		return
	}
	json.NewEncoder(w).Encode(map[string]string{"caller": who.Sub, "scope": who.Scope})
}

func main() {
	http.HandleFunc("/reports", reports)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
