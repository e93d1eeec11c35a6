package audit

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
)

// Export in the Open Cybersecurity Schema Framework, for a SIEM. Each event
// becomes one of four classes:
//
//	Belfry's own sign-ins and sign-outs               Authentication    3002
//	Belfry's own members, operators, passwords        Account Change    3001
//	create, read, update, delete of any resource      Entity Management 3004
//	every other action                                API Activity      6003
//
// What the class has no attribute for is in unmapped, so that nothing is lost.

// formatOCSF is the value of the parameter format.
const formatOCSF = "ocsf"

const (
	ocsfVersion = "1.4.0" // attributes that came later are not used

	ocsfAccountChange    = 3001
	ocsfAuthentication   = 3002
	ocsfEntityManagement = 3004
	ocsfAPIActivity      = 6003

	ocsfOther = 99
)

var ocsfClasses = map[int]string{
	ocsfAccountChange: "Account Change", ocsfAuthentication: "Authentication",
	ocsfEntityManagement: "Entity Management", ocsfAPIActivity: "API Activity",
}

var ocsfCategories = map[int]string{3: "Identity & Access Management", 6: "Application Activity"}

// ocsfActivities are the captions of the activities by class.
var ocsfActivities = map[int]map[int]string{
	ocsfAccountChange:    {1: "Create", 3: "Password Change", 6: "Delete"},
	ocsfAuthentication:   {1: "Logon", 2: "Logoff"},
	ocsfEntityManagement: {1: "Create", 2: "Read", 3: "Update", 4: "Delete"},
}

// ocsfVerbs are the actions that Entity Management has an activity for.
var ocsfVerbs = map[string]int{
	"create": 1,
	"add":    1,
	"read":   2,
	"view":   2,
	"update": 3,
	"change": 3,
	"delete": 4,
	"remove": 4,
}

// ocsfEvent is one line of the export. Times are Unix milliseconds.
type ocsfEvent struct {
	ActivityID   int              `json:"activity_id"`
	ActivityName string           `json:"activity_name"`
	CategoryUID  int              `json:"category_uid"`
	CategoryName string           `json:"category_name"`
	ClassUID     int              `json:"class_uid"`
	ClassName    string           `json:"class_name"`
	TypeUID      int              `json:"type_uid"`
	TypeName     string           `json:"type_name"`
	Time         int64            `json:"time"`
	SeverityID   int              `json:"severity_id"`
	Severity     string           `json:"severity"`
	StatusID     int              `json:"status_id"`
	Status       string           `json:"status"`
	Message      string           `json:"message"`
	Metadata     ocsfMetadata     `json:"metadata"`
	Actor        ocsfActor        `json:"actor"`
	SrcEndpoint  *ocsfEndpoint    `json:"src_endpoint,omitzero"`
	HTTPRequest  *ocsfHTTPRequest `json:"http_request,omitzero"`
	API          *ocsfAPI         `json:"api,omitzero"`
	Resources    []ocsfResource   `json:"resources,omitzero"`
	Entity       *ocsfResource    `json:"entity,omitzero"`
	EntityResult *ocsfResource    `json:"entity_result,omitzero"`
	Comment      string           `json:"comment,omitzero"`
	User         *ocsfUser        `json:"user,omitzero"`
	Service      *ocsfName        `json:"service,omitzero"`
	Session      *ocsfUID         `json:"session,omitzero"`
	Unmapped     map[string]any   `json:"unmapped,omitzero"`
}

type ocsfMetadata struct {
	Version        string      `json:"version"`
	Product        ocsfProduct `json:"product"`
	UID            string      `json:"uid"`
	TenantUID      string      `json:"tenant_uid"`
	Sequence       int64       `json:"sequence"`
	LogName        string      `json:"log_name"`
	LoggedTime     int64       `json:"logged_time"`
	OriginalTime   string      `json:"original_time"`
	EventCode      string      `json:"event_code"`
	CorrelationUID string      `json:"correlation_uid,omitzero"`
}

type ocsfProduct struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
}

type ocsfActor struct {
	User *ocsfUser `json:"user"`
}

type ocsfUser struct {
	UID           string `json:"uid,omitzero"`
	Name          string `json:"name,omitzero"`
	Email         string `json:"email_addr,omitzero"`
	TypeID        int    `json:"type_id"`
	Type          string `json:"type"`
	CredentialUID string `json:"credential_uid,omitzero"`
}

type ocsfEndpoint struct {
	IP   string `json:"ip,omitzero"`
	Name string `json:"name,omitzero"`
}

type ocsfHTTPRequest struct {
	UID       string   `json:"uid,omitzero"`
	Method    string   `json:"http_method,omitzero"`
	URL       *ocsfURL `json:"url,omitzero"`
	UserAgent string   `json:"user_agent,omitzero"`
}

type ocsfURL struct {
	URL  string `json:"url_string,omitzero"`
	Path string `json:"path,omitzero"`
}

type ocsfAPI struct {
	Operation string        `json:"operation"`
	Service   ocsfName      `json:"service"`
	Request   *ocsfUID      `json:"request,omitzero"`
	Response  *ocsfResponse `json:"response,omitzero"`
}

type ocsfResponse struct {
	Code int `json:"code"`
}

type ocsfName struct {
	Name string `json:"name"`
}

type ocsfUID struct {
	UID string `json:"uid"`
}

// ocsfResource is a managed entity, or the resource of an API call.
type ocsfResource struct {
	UID  string         `json:"uid,omitzero"`
	Name string         `json:"name,omitzero"`
	Type string         `json:"type"`
	Data jsontext.Value `json:"data,omitzero"`
}

// writeOCSF writes matching events, newest first, one JSON object a line. each
// is called with every event; it may be nil.
func (f *Feature) writeOCSF(
	ctx context.Context,
	w io.Writer,
	account string,
	q ledger.Query,
	each func(*record.Record),
) error {
	return f.reader.Each(ctx, account, q, func(r *record.Record) error {
		if each != nil {
			each(r)
		}
		line, err := json.Marshal(ocsfOf(r, f.sentence(r)), json.Deterministic(true))
		if err != nil {
			return err
		}
		_, err = w.Write(append(line, '\n'))
		return err
	})
}

// exportWriter writes matching events in one format.
type exportWriter func(
	ctx context.Context,
	w io.Writer,
	account string,
	q ledger.Query,
	each func(*record.Record),
) error

// writeAs is the writer of a format of exports without proof.
func (f *Feature) writeAs(format string) exportWriter {
	switch format {
	case "csv":
		return f.writeCSV
	case formatOCSF:
		return f.writeOCSF
	}
	return f.writeNDJSON
}

// extensionOf is the end of an export's file name.
func extensionOf(format string) string {
	if format == formatOCSF {
		return ".ocsf.ndjson"
	}
	return "." + format
}

// ocsfOf maps an event. Erased values are missing.
func ocsfOf(r *record.Record, sentence string) *ocsfEvent {
	e := &r.Event
	out := &ocsfEvent{
		Time:       e.At().UnixMilli(),
		SeverityID: 1, Severity: "Informational",
		StatusID: 1, Status: "Success",
		Message: sentence,
		Metadata: ocsfMetadata{
			Version:        ocsfVersion,
			Product:        ocsfProduct{Name: "Belfry", VendorName: "Belfry"},
			UID:            e.ID,
			TenantUID:      r.Account,
			Sequence:       r.Seq,
			LogName:        "audit",
			OriginalTime:   e.OccurredAt,
			EventCode:      e.Resource.Product + "." + e.Resource.Type + "." + e.Action.Type,
			CorrelationUID: e.ChangeSet,
		},
		Actor: ocsfActor{User: ocsfActorOf(&e.Actor)},
	}
	if e.Action.Result == "failure" {
		out.StatusID, out.Status = 2, "Failure"
	}
	if at, err := time.Parse(time.RFC3339Nano, r.RecordedAt); err == nil {
		out.Metadata.LoggedTime = at.UnixMilli()
	}
	if e.Actor.IPAddress != "" {
		out.SrcEndpoint = &ocsfEndpoint{IP: e.Actor.IPAddress}
	}
	out.HTTPRequest = ocsfRequestOf(r.Request())
	rest := ocsfRest(r)
	ocsfClassify(out, r, rest)
	if len(rest) > 0 {
		out.Unmapped = rest
	}
	out.CategoryUID = out.ClassUID / 1000
	out.CategoryName, out.ClassName = ocsfCategories[out.CategoryUID], ocsfClasses[out.ClassUID]
	out.TypeUID = out.ClassUID*100 + out.ActivityID
	if out.ActivityName = ocsfActivities[out.ClassUID][out.ActivityID]; out.ActivityName == "" {
		out.ActivityName = e.Action.Type // of Other it is the source's own word
	}
	out.TypeName = out.ClassName + ": " + out.ActivityName
	return out
}

// ocsfClassify chooses class and activity, and fills the attributes that only
// the class has. rest are the fields without an attribute; it takes out of them
// those that the class has one for.
func ocsfClassify(out *ocsfEvent, r *record.Record, rest map[string]any) {
	e := &r.Event
	own := e.Resource.Product == event.Product
	out.ActivityID = ocsfOther
	switch activity := ocsfVerbs[e.Action.Type]; {
	case own && e.Resource.Type == "session" && (e.Action.Type == "sign_in" || e.Action.Type == "sign_out"):
		out.ClassUID = ocsfAuthentication
		out.ActivityID = 1
		if e.Action.Type == "sign_out" {
			out.ActivityID = 2
		}
		out.User, out.Service = out.Actor.User, &ocsfName{"Belfry"}
		if e.Resource.ID != "" {
			out.Session = &ocsfUID{e.Resource.ID}
		}
	case own && (e.Resource.Type == "member" || e.Resource.Type == "operator" || e.Resource.Type == "password"):
		out.ClassUID = ocsfAccountChange
		out.User = &ocsfUser{
			UID:    ocsfKnown(e.Resource.ID, e.Resource.Name),
			Name:   e.Resource.Name,
			Email:  ocsfEmail(e.Resource.Name),
			TypeID: 1,
			Type:   "User",
		}
		switch {
		case e.Resource.Type == "password":
			out.ActivityID = 3
		case activity == 1:
			out.ActivityID = 1
		case activity == 4:
			out.ActivityID = 6
		}
	case activity != 0:
		out.ClassUID, out.ActivityID = ocsfEntityManagement, activity
		out.Entity = ocsfResourceOf(e, e.Before)
		if len(e.After) > 0 {
			out.EntityResult = ocsfResourceOf(e, e.After)
		}
		delete(rest, "before")
		delete(rest, "after")
		if e.Reason != nil {
			out.Comment = e.Reason.Text
			delete(rest, "reason")
		}
	default:
		out.ClassUID = ocsfAPIActivity
		out.API = &ocsfAPI{Operation: e.Action.Type, Service: ocsfName{e.Resource.Product}}
		if id := r.Request().ID; id != "" {
			out.API.Request = &ocsfUID{id}
		}
		if code := r.Request().StatusCode; code != 0 {
			out.API.Response = &ocsfResponse{code}
			delete(rest, "status_code")
		}
		out.Resources = []ocsfResource{*ocsfResourceOf(e, nil)}
		if out.SrcEndpoint == nil { // the class requires one
			out.SrcEndpoint = &ocsfEndpoint{Name: "unknown"}
		}
	}
}

// ocsfKnown is the first value that is there: an entity needs an id or a name,
// also after both were erased.
func ocsfKnown(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return "erased"
}

// ocsfEmail is s where it is an address.
func ocsfEmail(s string) string {
	if name, host, found := strings.Cut(s, "@"); !found || name == "" || host == "" || strings.ContainsAny(s, " <>") {
		return ""
	}
	return s
}

func ocsfResourceOf(e *record.Event, data jsontext.Value) *ocsfResource {
	return &ocsfResource{
		UID:  ocsfKnown(e.Resource.ID, e.Resource.Name),
		Name: e.Resource.Name,
		Type: e.Resource.Product + "/" + e.Resource.Type,
		Data: data,
	}
}

func ocsfActorOf(a *record.Actor) *ocsfUser {
	u := &ocsfUser{
		UID:           ocsfKnown(a.ID, a.Name, a.Email),
		Name:          a.Name,
		Email:         ocsfEmail(a.Email),
		CredentialUID: a.TokenID,
	}
	switch a.Type {
	case "user":
		u.TypeID, u.Type = 1, "User"
	case "staff":
		u.TypeID, u.Type = 2, "Admin"
	case "system":
		u.TypeID, u.Type = 3, "System"
	default:
		u.TypeID, u.Type = ocsfOther, a.Type
	}
	return u
}

func ocsfRequestOf(q *record.Request) *ocsfHTTPRequest {
	if *q == (record.Request{}) {
		return nil
	}
	out := &ocsfHTTPRequest{UID: q.ID, Method: strings.ToUpper(q.Method), UserAgent: q.UserAgent}
	switch {
	case strings.HasPrefix(q.URI, "/"):
		out.URL = &ocsfURL{Path: q.URI}
	case q.URI != "":
		out.URL = &ocsfURL{URL: q.URI}
	}
	return out
}

// ocsfRest are the fields for which no class has an attribute, by Belfry's names.
func ocsfRest(r *record.Record) map[string]any {
	e := &r.Event
	all := map[string]any{}
	add := func(name, value string) {
		if value != "" {
			all[name] = value
		}
	}
	add("description", e.Action.Description)
	add("interface", e.Interface)
	add("resource_scope", e.Resource.Scope)
	add("actor_token_name", e.Actor.TokenName)
	add("zone_id", e.Zone.ID)
	add("zone_name", e.Zone.Name)
	add("submitted_by_type", r.SubmittedBy.Type)
	add("submitted_by_id", r.SubmittedBy.ID)
	if e.Reason != nil {
		add("reason", e.Reason.Text)
		add("reason_url", e.Reason.URL)
	}
	if b := e.Actor.OnBehalfOf; b != nil {
		all["on_behalf_of"] = b
	}
	if code := r.Request().StatusCode; code != 0 {
		all["status_code"] = code
	}
	if len(e.Related) > 0 {
		all["related"] = e.Related
	}
	for name, value := range map[string]jsontext.Value{"before": e.Before, "after": e.After, "metadata": e.Metadata} {
		if len(value) > 0 {
			all[name] = value
		}
	}
	if len(r.Erased) > 0 {
		all["erased"] = slices.Clone(r.Erased)
	}
	return all
}
