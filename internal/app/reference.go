package app

import (
	_ "embed"

	"github.com/belfryhq/belfry/docs"
	"github.com/belfryhq/belfry/internal/platform/reference"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// recordedExamples has a call of every operation, recorded from a real server by
// TestEveryOperationHasAnExample.
//
//go:embed examples.json
var recordedExamples []byte

// repositoryFiles is where links of the guides lead that the server has no page for.
const repositoryFiles = "https://github.com/belfryhq/belfry/blob/main/"

// openReference registers the pages of /docs.
func (a *App) openReference(u *ui.UI) error {
	examples, err := reference.ParseExamples(recordedExamples)
	if err != nil {
		return err
	}
	r, err := reference.New(reference.Config{
		UI:         u,
		API:        a.API,
		Groups:     referenceGroups,
		Examples:   examples,
		Samples:    clientSamples(examples),
		Guides:     guides,
		Files:      docs.Files,
		Root:       "docs",
		Repository: repositoryFiles,
	})
	if err != nil {
		return err
	}
	r.Mount()
	return nil
}

// guides are in the order in which a new reader needs them.
var guides = []reference.Guide{
	{Name: "start", Title: "Start", File: "guide/start.md", About: "From an empty folder to the first event."},
	{Name: "publish", Title: "Record changes", File: "guide/publish.md",
		About: "Send audit events: HTTP, Go SDK, Kafka, catalogues, personal data."},
	{Name: "read", Title: "Read the audit log", File: "guide/read.md",
		About: "Explorer, filters, API, exports, live tail."},
	{Name: "verify", Title: "Verify the audit log", File: "guide/verify.md",
		About: "Prove offline that nothing was changed or removed."},
	{Name: "notify", Title: "Notifications", File: "guide/notify.md",
		About: "Policies, webhooks, mail, signatures, retries."},
	{Name: "objectives", Title: "Objectives", File: "guide/objectives.md",
		About: "Error budgets, burn rates, and when they alert."},
	{Name: "traffic", Title: "Traffic", File: "guide/traffic.md",
		About: "Count requests: from the product, or from access logs."},
	{Name: "accounts", Title: "Accounts and access", File: "guide/accounts.md",
		About: "Accounts, members, roles, tokens, permissions."},
	{Name: "status", Title: "Incidents and the status page", File: "guide/status.md",
		About: "Declare incidents and maintenance, and show them to everybody."},
	{Name: "operate", Title: "Operate", File: "guide/operate.md",
		About: "Build, deploy, back up, upgrade, repair."},
	{Name: "configure", Title: "Configure", File: "guide/configure.md", About: "All settings."},
	{Name: "format", Title: "Format of the record", File: "format.md",
		About: "The specification of exports, hashes and proofs."},
}

// referenceGroups are the tags of operations, in the order of the navigation.
var referenceGroups = []reference.Group{
	{Tag: "Audit log", Title: "Audit log", Guide: "publish",
		About: "Send audit events, find them, export them, follow them live."},
	{Tag: "Audit proof", Title: "Audit proof", Guide: "verify",
		About: "Signed checkpoints, tiles and proofs of the log, for verification by others."},
	{Tag: "Notifications", Title: "Notifications", Guide: "notify",
		About: "Alerts, the policies that route them, the webhooks that receive them, and every delivery."},
	{Tag: "Objectives", Title: "Objectives", Guide: "objectives",
		About: "Objectives for the share of requests that succeed, their error budgets and burns."},
	{Tag: "Traffic", Title: "Traffic", Guide: "traffic", About: "Counts of requests and failures, which objectives use."},
	{Tag: "Accounts", Title: "Accounts", Guide: "accounts", About: "The accounts of your customers."},
	{Tag: "Zones", Title: "Properties", Guide: "accounts",
		About: "The sites, services and hosts of an account. The API calls a property a zone."},
	{Tag: "Members", Title: "Members", Guide: "accounts",
		About: "The people of an account, their roles, and sessions of your own users."},
	{Tag: "API tokens", Title: "API tokens", Guide: "accounts", About: "Credentials of programs, with their permissions."},
	{Tag: "User", Title: "User", Guide: "accounts",
		About: "The person who is signed in: sessions, invitations, password."},
	{Tag: "Producers", Title: "Teams", Guide: "publish",
		About: "Product teams with their catalogues, tokens and rejected events. The API calls a team a producer."},
	{Tag: "Search", Title: "Search", About: "Objects of an account by name or id."},
	{Tag: "Jobs", Title: "Jobs", About: "Long work such as exports: its progress, its result and its file."},
	{Tag: "Incidents", Title: "Incidents", Guide: "status",
		About: "Incidents and maintenance of the platform, its components, and the subscribers of the status page."},
	{Tag: "Operators", Title: "Operators", Guide: "accounts", About: "The people who run this installation."},
	{Tag: "Server", Title: "Server", Guide: "operate", About: "Limits and addresses of this installation."},
}
