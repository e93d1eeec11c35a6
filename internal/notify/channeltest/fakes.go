package channeltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// size is the length of a body in bytes.
func size(o object) int {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return len(b)
}

func refuses(status int, format string) func(string) (int, string) {
	return func(fault string) (int, string) {
		return status, fmt.Sprintf(format, strings.ReplaceAll(fault, `"`, "'"))
	}
}

var fakes = map[string]func() *Fake{
	"slack": func() *Fake {
		return &Fake{
			Path: "/services/T00000000/B00000000/slackSecretSlackSecret12", check: checkSlack,
			ok: 200, answer: "ok", bad: refuses(400, "invalid_blocks: %s"),
		}
	},
	"gchat": func() *Fake {
		return &Fake{
			Path: "/v1/spaces/AAAAspace/messages?key=gchatSecretKey0123456789&token=gchatSecretToken0123",
			ok:   200, answer: `{"name":"spaces/AAAAspace/messages/1"}`, check: checkGChat,
			bad: refuses(400, `{"error":{"code":400,"message":"%s","status":"INVALID_ARGUMENT"}}`),
		}
	},
	"discord": func() *Fake {
		return &Fake{
			Path: "/api/webhooks/123456789012345678/discordSecretToken-0123456789_abc", check: checkDiscord,
			ok: 200, answer: `{"id":"1"}`, bad: refuses(400, `{"embeds":["%s"]}`),
		}
	},
	"msteams": func() *Fake {
		return &Fake{
			Path: "/workflows/teamsSecretWorkflow01/triggers/manual/paths/invoke?sig=teamsSecretSignature0123",
			ok:   202, check: checkTeams, bad: refuses(400, `{"error":{"code":"InvalidRequestContent","message":"%s"}}`),
		}
	},
	"mattermost": func() *Fake {
		return &Fake{
			Path: "/hooks/mattermostSecretHook012345", check: checkMattermost, ok: 200, answer: "ok",
			bad: refuses(400, `{"id":"api.webhook.incoming.error","message":"%s"}`),
		}
	},
	"feishu": func() *Fake {
		return &Fake{
			Path: "/open-apis/bot/v2/hook/feishuSecret-0123-4567-89ab", Secret: "feishuSigningSecret", check: checkFeishu,
			ok: 200, answer: `{"StatusCode":0,"code":0,"msg":"success"}`, bad: refuses(200, `{"code":9499,"msg":"%s"}`),
		}
	},
	"pagerduty": func() *Fake {
		return &Fake{
			Path: "/v2/enqueue", Secret: "R0123456789abcdefghijklmnopqrstu", check: checkPagerDuty,
			ok: 202, answer: `{"status":"success","message":"Event processed"}`,
			bad: refuses(400, `{"status":"invalid event","message":"Event object is invalid","errors":["%s"]}`),
		}
	},
	"opsgenie": func() *Fake {
		return &Fake{
			Path: "/v2/alerts", Secret: "opsgenie-secret-0123-4567", check: checkOpsgenie,
			ok: 202, answer: `{"result":"Request will be processed"}`, bad: refuses(422, `{"message":"%s"}`),
		}
	},
	"datadog": func() *Fake {
		return &Fake{
			Path: "/api/v1/events", Secret: "datadogSecretKey0123456789abcdef", check: checkDatadog,
			ok: 202, answer: `{"status":"ok"}`, bad: refuses(400, `{"errors":["%s"]}`),
		}
	},
	"splunk": func() *Fake {
		return &Fake{
			Path: "/services/collector/event", Secret: "splunk-secret-0123-4567-89ab", check: checkSplunk,
			ok: 200, answer: `{"text":"Success","code":0}`, bad: refuses(400, `{"text":"%s","code":6}`),
		}
	},
	"ntfy": func() *Fake {
		return &Fake{
			Path: "/ntfySecretTopic", Secret: "tk_ntfysecret0123456789", check: checkNtfy,
			ok: 200, answer: `{"id":"x","event":"message","topic":"ntfySecretTopic"}`,
			bad: refuses(400, `{"code":40001,"error":"%s"}`),
		}
	},
	"gotify": func() *Fake {
		return &Fake{
			Secret: "gotifySecretToken", check: checkGotify, ok: 200, answer: `{"id":1}`,
			bad: refuses(400, `{"error":"Bad Request","errorDescription":"%s"}`),
		}
	},
}

var entity = regexp.MustCompile(`&(amp|lt|gt);`)

// checkSlack has the limits of Block Kit, and refuses text that is not escaped.
func checkSlack(f *Fake, r *http.Request, o object) string {
	if r.URL.Path != f.Path {
		return "no_service"
	}
	blocks := o.list("blocks")
	if o.text("text") == "" || len(blocks) > 50 {
		return "no text, or too many blocks"
	}
	total := length(o.text("text"))
	texts := []string{o.text("text")}
	for _, b := range blocks {
		most := 3000
		if b.text("type") == "header" {
			most = 150
		}
		if length(b.text("text.text")) > most {
			return "a text is too long"
		}
		texts = append(texts, b.text("text.text"))
		fields := append(b.list("fields"), b.list("elements")...)
		if len(fields) > 10 {
			return "too many fields"
		}
		for _, field := range fields {
			if length(field.text("text")) > 2000 {
				return "a field is too long"
			}
			texts = append(texts, field.text("text"))
		}
	}
	for _, s := range texts {
		total += length(s)
		// Links of its own are the only markup.
		rest := regexp.MustCompile(`<https?://[^|>]+\|[^<>]*>`).ReplaceAllString(s, "")
		if strings.ContainsAny(rest, "<>") || strings.Contains(entity.ReplaceAllString(rest, ""), "&") {
			return "a text is not escaped: " + rest[:min(len(rest), 50)]
		}
	}
	if total > 13_200 {
		return "the message is too long"
	}
	return ""
}

func checkGChat(_ *Fake, r *http.Request, o object) string {
	q := r.URL.Query()
	switch {
	case q.Get("key") == "" || q.Get("token") == "":
		return "no key"
	case q.Get("messageReplyOption") != "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD" || o.text("thread.threadKey") == "":
		return "no thread"
	case size(o) > 32_000:
		return "too long"
	case o.text("cardsV2.0.card.header.title") == "":
		return "no title"
	case strings.Contains(o.text("fallbackText"), "<users/"):
		return "it mentions users"
	}
	for _, w := range o.list("cardsV2.0.card.sections.0.widgets") {
		for _, s := range []string{w.text("textParagraph.text"), w.text("decoratedText.text")} {
			rest := regexp.MustCompile(`<br>|<a href="https?://[^"<>]+">|</a>`).ReplaceAllString(s, "")
			if strings.ContainsAny(rest, "<>\"") {
				return "HTML is not escaped: " + rest
			}
		}
	}
	return ""
}

func checkDiscord(f *Fake, r *http.Request, o object) string {
	embeds := o.list("embeds")
	parse, ok := o.at("allowed_mentions.parse").([]any)
	if !ok || len(parse) != 0 || r.URL.Path != f.Path || len(embeds) != 1 {
		return "it may mention, or has no embed"
	}
	e := embeds[0]
	fault := e.limits(true, "title", 256)
	if fault == "" {
		fault = e.limits(false, "description", 4096, "footer.text", 2048)
	}
	total := length(e.text("title")) + length(e.text("description")) + length(e.text("footer.text"))
	fields := e.list("fields")
	for _, field := range fields {
		if fault == "" {
			fault = field.limits(true, "name", 256, "value", 1024)
		}
		total += length(field.text("name")) + length(field.text("value"))
	}
	if total > 6000 || len(fields) > 25 {
		return "too long"
	}
	return fault
}

func checkTeams(_ *Fake, r *http.Request, o object) string {
	card := object(nil)
	if list := o.list("attachments"); len(list) == 1 {
		card, _ = list[0]["content"].(map[string]any)
	}
	switch {
	case r.URL.Query().Get("sig") == "":
		return "DirectApiAuthorizationRequired"
	case size(o) > 28_000:
		return "too long"
	case o.text("type") != "message" || card.text("type") != "AdaptiveCard" || card.text("version") != "1.4":
		return "no card"
	}
	for _, b := range card.list("body") {
		if b.text("type") != "RichTextBlock" || len(b.list("inlines")) == 0 {
			return "a text may be read as markup"
		}
	}
	for _, a := range card.list("actions") {
		if a.text("type") != "Action.OpenUrl" || !strings.HasPrefix(a.text("url"), "http") {
			return "an action leads nowhere"
		}
	}
	return ""
}

func checkMattermost(f *Fake, r *http.Request, o object) string {
	if r.URL.Path != f.Path {
		return "incoming_webhook.invalid"
	}
	if size(o) > 8000 || len(o.list("attachments")) != 1 {
		return "too long"
	}
	text := o.text("attachments.0.text") + o.text("attachments.0.title") + o.text("attachments.0.fallback")
	for _, name := range []string{"@channel", "@here", "@all", "@everyone"} {
		if strings.Contains(text, name) {
			return "it mentions " + name
		}
	}
	return ""
}

func checkFeishu(_ *Fake, _ *http.Request, o object) string {
	for _, e := range o.list("card.elements") {
		if e.text("tag") == "div" && e.text("text.tag") != "plain_text" {
			return "a text is markup"
		}
	}
	switch {
	case size(o) > 20_000:
		return "too long"
	case o.text("msg_type") != "interactive" || o.text("card.header.title.content") == "":
		return "no card"
	case o.text("sign") == "" || o.text("timestamp") == "":
		return "sign match fail"
	}
	return ""
}

// checkPagerDuty has the limits of the Events API v2, and remembers which alerts are
// triggered: an end without its start is not what a test means.
func checkPagerDuty(f *Fake, r *http.Request, o object) string {
	if o.text("routing_key") != f.Secret {
		return "Invalid routing key"
	}
	if fault := o.limits(false, "payload.summary", 1024, "dedup_key", 255); fault != "" {
		return fault
	}
	if size(o) > 512_000 {
		return "too long"
	}
	if stamp := o.text("payload.timestamp"); stamp != "" {
		if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
			return "timestamp"
		}
	}
	if r.URL.Path == "/v2/change/enqueue" {
		return o.limits(true, "payload.summary", 1024)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := o.text("dedup_key")
	switch o.text("event_action") {
	case "trigger":
		severity := []string{"critical", "error", "warning", "info"}
		if !slices.Contains(severity, o.text("payload.severity")) {
			return "severity"
		}
		f.events = append(f.events, key)
		return o.limits(true, "payload.summary", 1024, "payload.source", 255, "dedup_key", 255)
	case "resolve":
		if !slices.Contains(f.events, key) {
			return "nothing to resolve under this key"
		}
		return ""
	}
	return "event_action"
}

func checkOpsgenie(f *Fake, r *http.Request, o object) string {
	if r.Header.Get("Authorization") != "GenieKey "+f.Secret {
		return "Key format is not valid!"
	}
	if strings.HasSuffix(r.URL.Path, "/close") {
		if r.URL.Query().Get("identifierType") != "alias" {
			return "identifierType"
		}
		return o.limits(true, "source", 100, "user", 100)
	}
	details, _ := o["details"].(map[string]any)
	total := 0
	for name, v := range details {
		s, _ := v.(string)
		total += length(name) + length(s)
	}
	if total > 8000 {
		return "details are too long"
	}
	if fault := o.limits(true, "message", 130, "alias", 512, "source", 100); fault != "" {
		return fault
	}
	return o.limits(false, "description", 15_000, "entity", 512)
}

func checkDatadog(f *Fake, r *http.Request, o object) string {
	if r.Header.Get("Dd-Api-Key") != f.Secret {
		return "Forbidden"
	}
	if !slices.Contains([]string{"error", "warning", "info", "success"}, o.text("alert_type")) {
		return "alert_type"
	}
	return o.limits(true, "title", 100, "text", 4000, "aggregation_key", 100)
}

func checkSplunk(f *Fake, r *http.Request, o object) string {
	if r.Header.Get("Authorization") != "Splunk "+f.Secret {
		return "Invalid token"
	}
	if o.at("event.alert_type") == nil || o.at("time") == nil {
		return "Invalid data format"
	}
	return ""
}

func checkNtfy(f *Fake, r *http.Request, o object) string {
	switch {
	case r.URL.Path != "/" || o.text("topic") != strings.TrimPrefix(f.Path, "/"):
		return "topic invalid"
	case r.Header.Get("Authorization") != "Bearer "+f.Secret:
		return "unauthorized"
	case len(o.text("message")) > 4096 || len(o.list("actions")) > 3:
		return "it becomes an attachment"
	}
	return ""
}

func checkGotify(f *Fake, r *http.Request, o object) string {
	if r.URL.Path != "/message" || r.Header.Get("X-Gotify-Key") != f.Secret {
		return "Unauthorized"
	}
	return o.limits(true, "message", 40_000)
}
