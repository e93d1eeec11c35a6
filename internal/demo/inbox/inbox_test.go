package inbox_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/smtp"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/belfryhq/belfry/internal/demo/inbox"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func start(t *testing.T) *inbox.Inbox {
	t.Helper()
	i, err := inbox.New("127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return i
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d %v\n%s", url, res.StatusCode, err, b)
	}
	return string(b)
}

func TestAWebhookIsShownWithWhatItsSignatureIsWorth(t *testing.T) {
	i := start(t)
	if !strings.Contains(get(t, i.URL()), "No messages yet") {
		t.Error("an empty inbox does not say what comes")
	}
	body := `{"name":"Error budget burn","text":"checkout burns <b>14 times</b> too fast"}`
	post := func(id, signature string, at time.Time) int {
		req, err := http.NewRequest("POST", i.URL()+"/hook", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("webhook-id", id)
		req.Header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
		req.Header.Set("webhook-signature", signature)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	signer, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	good, err := signer.Sign("msg_1", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if got := post("msg_0", "v1,none", now); got != 204 { // it knows no secret yet
		t.Errorf("before the secret was known: %d", got)
	}
	first, err := signer.Sign("msg_1", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	post("msg_1", first, now)
	i.Trust(secret)
	if list := i.Messages(); len(list) != 2 || !list[0].Verified || list[1].Verified {
		t.Errorf("what came before the secret is not looked at again: %+v", list)
	}
	for _, c := range []struct {
		id, signature string
		at            time.Time
		status        int
	}{
		{"msg_1", good, now, 204},
		{"msg_1", good, now, 204},
		{"msg_2", good, now, 401},
		{"msg_1", good, now.Add(-time.Hour), 401},
	} {
		if got := post(c.id, c.signature, c.at); got != c.status {
			t.Errorf("%s at %s was answered %d, want %d", c.id, c.at, got, c.status)
		}
	}
	list := i.Messages()
	if len(list) != 6 || !list[3].Verified || !list[3].Repeat || !list[2].Repeat || list[1].Verified || list[0].Verified {
		t.Errorf("%+v", list)
	}
	page := get(t, i.URL())
	if !strings.Contains(page, "signature holds") || !strings.Contains(page, "signature does not hold") ||
		strings.Contains(page, "<b>14 times") {
		t.Error(page)
	}
}

func TestAMailIsShownByItsSubjectAndText(t *testing.T) {
	i := start(t)
	mail := "From: belfry@example.com\r\nTo: you@shop.example\r\nSubject: " +
		"=?utf-8?q?checkout_burns_=E2=80=93_again?=\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; " +
		"charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		"Preceded by =E2=80=9Cyou=E2=80=9D\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n--x--\r\n"
	if err := smtp.SendMail(i.SMTP(), nil, "belfry@example.com", []string{"you@shop.example"}, []byte(mail)); err != nil {
		t.Fatal(err)
	}
	list := i.Messages()
	if len(list) != 1 || list[0].Title != "checkout burns – again" || list[0].Text != "Preceded by “you”" ||
		list[0].To != "you@shop.example" {
		t.Fatalf("%+v", list)
	}
	if page := get(t, i.URL()); !strings.Contains(page, "checkout burns – again") {
		t.Error(page)
	}
}
