package app

import (
	"strings"

	"github.com/belfryhq/belfry/internal/platform/reference"
)

// clientSamples are the samples of clients: the Go SDK, and the official clients of the
// Cloudflare API for operations that test/conformance exercises with them.
func clientSamples(examples reference.Examples) map[string][]reference.Sample {
	all := map[string][]reference.Sample{}
	for _, id := range []string{"publish-audit-events", "publish-audit-events-of-many-accounts"} {
		all[id] = append(all[id], reference.Sample{Key: "sdk", Label: "Go SDK", Text: sdkSample})
	}
	fill := func(id, text string) string {
		for name, value := range examples[id].Path {
			if name != "account_id" {
				text = strings.ReplaceAll(text, "{"+name+"}", value)
			}
		}
		return text
	}
	for id, call := range cloudflareGo {
		text := strings.NewReplacer("SERVICE", call.service, "CALL", call.text).Replace(cloudflareGoFrame)
		all[id] = append(all[id], reference.Sample{Key: "cloudflare-go", Label: "cloudflare-go", Text: fill(id, text)})
	}
	for id, call := range cloudflareJS {
		text := strings.ReplaceAll(cloudflareJSFrame, "CALL", call)
		all[id] = append(all[id], reference.Sample{Key: "cloudflare-js", Label: "cloudflare (npm)", Text: fill(id, text)})
	}
	return all
}

// sdkSample is the program of sdk/go/README.md, which the tests of documents run.
const sdkSample = `package main

import (
	"context"
	"log"
	"os"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

func main() {
	client, err := belfry.New(belfry.Config{
		URL:       os.Getenv("BELFRY_URL"),     // https://belfry.example
		Token:     os.Getenv("BELFRY_TOKEN"),   // with the permission audit:write
		AccountID: os.Getenv("BELFRY_ACCOUNT"), // empty: a product team's token, and each event names its account
		SpoolDir:  "audit-spool",               // used by this process only
		Redact:    []string{"password", "/after/tls/key"},
		OnReject:  func(r belfry.Rejected) { log.Printf("audit: %s %s: %v", r.ID, r.Status, r.Errors) },
		OnError:   func(err error) { log.Print(err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { // delivers for up to five seconds; the rest is sent after the next start
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := client.Close(ctx); err != nil {
			log.Print(err)
		}
	}()

	err = client.Audit(context.Background(), belfry.Event{
		Action:   belfry.Action{Type: "update"},
		Actor:    belfry.Actor{Type: belfry.User, ID: "u-1", Name: "Ana"},
		Resource: belfry.Resource{Product: "shop", Type: "setting", ID: "payment_timeout"},
		Before:   map[string]any{"seconds": 3},
		After:    map[string]any{"seconds": 5},
		Reason:   &belfry.Reason{Text: "the bank became slow", URL: "https://tickets.example/214"},
	})
	if err != nil {
		log.Print(err)
	}
}
`

const cloudflareJSFrame = `import Cloudflare from "cloudflare";

const client = new Cloudflare({
  apiToken: process.env.BELFRY_TOKEN,
  baseURL: ` + "`${process.env.BELFRY_URL}/client/v4`" + `,
});
const account_id = process.env.BELFRY_ACCOUNT;

CALL
`

func eachItem(call string) string { return "for await (const item of " + call + ") console.log(item);" }

func logged(call string) string { return "console.log(await " + call + ");" }

const timeRange = `since: "2026-11-01", before: "2026-12-01"`

// cloudflareJS are calls of the npm package by operation.
var cloudflareJS = map[string]string{
	"list-audit-logs-v1": eachItem("client.auditLogs.list({ account_id })"),
	"list-audit-logs-v2": eachItem("client.accounts.logs.audit.list({ account_id, " + timeRange + " })"),
	"audit-log-history": logged(
		`client.accounts.logs.audit.history("{event_id}", { account_id, ` + timeRange + ` })`),
	"audit-product-categories": eachItem("client.accounts.logs.audit.productCategories({ account_id })"),
	"list-accounts":            eachItem("client.accounts.list()"),
	"create-account":           logged(`client.accounts.create({ name: "Acme", type: "standard" })`),
	"get-account":              logged("client.accounts.get({ account_id })"),
	"list-roles":               eachItem("client.accounts.roles.list({ account_id })"),
	"verify-account-token":     logged("client.accounts.tokens.verify({ account_id })"),
	"list-tokens":              eachItem("client.accounts.tokens.list({ account_id })"),
	"list-members":             eachItem("client.accounts.members.list({ account_id })"),
	"list-zones-of-all-accounts": eachItem(
		`client.zones.list({ name: "checkout.shop.example" })`),
	"list-egress-networks": logged("client.ips.list()"),
}

const cloudflareGoFrame = `package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/cloudflare/cloudflare-go/v7"
	"github.com/cloudflare/cloudflare-go/v7/SERVICE"
	"github.com/cloudflare/cloudflare-go/v7/option"
)

func main() {
	client := cloudflare.NewClient(
		option.WithBaseURL(os.Getenv("BELFRY_URL")+"/client/v4/"),
		option.WithAPIToken(os.Getenv("BELFRY_TOKEN")),
	)
	account := cloudflare.F(os.Getenv("BELFRY_ACCOUNT"))
	CALL
}
`

// goCall is a call of cloudflare-go, with the package of its parameters.
type goCall struct{ service, text string }

// goCallOf is a call with one answer.
func goCallOf(service, method, arguments, params string) goCall {
	return goCall{service, "answer, err := client." + method + "(context.TODO(), " + arguments + service + "." + params +
		"{AccountID: account})\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n\tfmt.Printf(\"%+v\\n\", answer)"}
}

// everyPage is a call whose answer is a list.
func everyPage(service, method, params string) goCall {
	return goCall{service, "pager := client." + method + "(context.TODO(), " + service + "." + params +
		"{AccountID: account})\n\tfor pager.Next() {\n\t\tfmt.Printf(\"%+v\\n\", pager.Current())\n\t}\n" +
		"\tif err := pager.Err(); err != nil {\n\t\tlog.Fatal(err)\n\t}"}
}

// cloudflareGo are calls of cloudflare-go by operation.
var cloudflareGo = map[string]goCall{
	"list-audit-logs-v1": everyPage("audit_logs", "AuditLogs.ListAutoPaging", "AuditLogListParams"),
	"list-webhooks": everyPage("alerting", "Alerting.Destinations.Webhooks.ListAutoPaging",
		"DestinationWebhookListParams"),
	"get-webhook": goCallOf("alerting", "Alerting.Destinations.Webhooks.Get", `"{webhook_id}", `,
		"DestinationWebhookGetParams"),
	"delete-webhook": goCallOf("alerting", "Alerting.Destinations.Webhooks.Delete", `"{webhook_id}", `,
		"DestinationWebhookDeleteParams"),
	"list-alert-types": goCallOf("alerting", "Alerting.AvailableAlerts.List", "", "AvailableAlertListParams"),
	"get-policy":       goCallOf("alerting", "Alerting.Policies.Get", `"{policy_id}", `, "PolicyGetParams"),
	"delete-policy":    goCallOf("alerting", "Alerting.Policies.Delete", `"{policy_id}", `, "PolicyDeleteParams"),
	"list-deliveries":  everyPage("alerting", "Alerting.History.ListAutoPaging", "HistoryListParams"),
	"create-webhook": {"alerting", `params := alerting.DestinationWebhookNewParams{
		AccountID: account,
		Name:      cloudflare.F("On-call"),
		URL:       cloudflare.F("https://hooks.acme.example/belfry"),
	}
	webhook, err := client.Alerting.Destinations.Webhooks.New(context.TODO(), params)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(webhook.ID)`},
}
