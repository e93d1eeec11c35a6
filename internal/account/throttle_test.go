package account_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

func TestAStrangerKeepsNobodyOutOfTheirOwnNetwork(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	a := f.account("A")
	_, cookie := f.member(a, "ana@example.com", "viewer") // from 192.0.2.9
	f.call(cookie, "PUT", "/user/password", object{"password": "a long password"}, sameOrigin).ok()
	spend := func() {
		for i := range 20 {
			for range 6 {
				f.form(fmt.Sprintf("198.51.100.%d", i), "", "email", "ana@example.com", "password", "wrong+password")
			}
		}
	}
	spend()
	if got := f.form("203.0.113.1", "", "email", "ana@example.com", "password", "a+long+password"); got.Status != 429 {
		t.Fatalf("attempts from everywhere are not limited: %d", got.Status)
	}
	f.form("192.0.2.77", "", "email", "ana@example.com", "password", "a+long+password").ok()
	// The exemption is from the limit of the person alone.
	count := map[int]int{}
	for range 10 {
		count[f.form("192.0.2.78", "", "email", "ana@example.com", "password", "wrong+password").Status]++
	}
	if count[401] != 6 || count[429] != 4 {
		t.Fatal(count)
	}

	// An account that makes a person with the address brings none of its networks.
	evil := f.account("evil")
	_, token := f.token(evil, "*")
	made := f.call(token, "POST", "/accounts/"+evil+"/members", object{"email": "ana@example.com", "role": "viewer"}).ok()
	theirs := f.form("203.0.113.9", "", "link", secretOf(made.text("sign_in_url"))).ok().cookie()
	f.call(theirs, "PUT", "/user/password", object{"password": "known to evil"},
		sameOrigin, "From-Address: 203.0.113.9").ok()
	f.later(time.Hour)
	spend()
	if got := f.form("203.0.113.10", "", "email", "ana@example.com", "password", "wrong+password"); got.Status != 429 {
		t.Fatalf("a network that only another account's person knows is exempt: %d", got.Status)
	}
}
