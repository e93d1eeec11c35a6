package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// sendLarge sends a body that is over the limit: with its length announced, so that the
// server can refuse it before it comes, or in chunks, so that it cannot.
func sendLarge(t *testing.T, a testAccount, body string, announced bool) live.Answer {
	t.Helper()
	var reader io.Reader = strings.NewReader(body)
	if !announced {
		reader = struct{ io.Reader }{reader}
	}
	request, err := http.NewRequest("POST", a.server.URL+"/client/v4"+a.path("/audit/events"), reader)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+a.Token)
	request.Header.Set("Content-Type", "application/x-ndjson")
	if announced {
		request.Header.Set("Expect", "100-continue") // as curl does for what is large
	}
	return a.server.Do(t, request).Open(t)
}

// TestABodyThatDoesNotComeIsAnswered begins a request and sends no more: the server must
// not wait for ever, and must say why it gave up. That takes as long as a body may take.
func TestABodyThatDoesNotComeIsAnswered(t *testing.T) {
	if os.Getenv("BELFRY_TEST_ALL") != "1" {
		t.Skip("slow body left out: it takes 30 s; BELFRY_TEST_ALL is not 1")
	}
	t.Parallel()
	a := newAccount(t)
	connection, err := net.Dial("tcp", strings.TrimPrefix(belfry.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(connection, "POST /client/v4%s HTTP/1.1\r\nHost: belfry\r\nAuthorization: Bearer "+
		"%s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"id\":\"slow.1\"",
		a.path("/audit/events"), a.Token)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatalf("the connection ended without an answer: %v", err)
	}
	defer response.Body.Close()
	answer := live.Answer{Status: response.StatusCode}
	if answer.Body, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	refusal(t, answer.Open(t), 400, 1111, "", "did not arrive in time")
	absent(t, a, "slow.1")
	holds(t, a, []string{stillTakes(t, a, "slow.2")})
}
