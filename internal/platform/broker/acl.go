package broker

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Rights are the topics that a client may write and read. Names that end in "*"
// are prefixes; "*" is every topic.
type Rights struct {
	Write []string
	Read  []string
}

// everyUser and guest are principals: every client, and clients that have not
// authenticated.
const (
	everyUser = "User:*"
	guest     = "User:ANONYMOUS"
)

// ownGroups is the prefix of the groups that foreign clients may not use.
const ownGroups = "belfry."

// createACLs grants the foreign clients their rights. kfake accepts ACLs as options
// only for an empty directory, so they are created by the protocol at every start.
func (b *Broker) createACLs(ctx context.Context) error {
	req := kmsg.NewPtrCreateACLsRequest()
	give := func(principal string, rights Rights, groups string) {
		for _, topic := range rights.Write {
			req.Creations = append(req.Creations, right(principal, kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationWrite))
		}
		for _, topic := range rights.Read {
			req.Creations = append(req.Creations, right(principal, kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationRead))
		}
		if len(rights.Read) > 0 {
			req.Creations = append(req.Creations, right(principal, kmsg.ACLResourceTypeGroup, groups, kmsg.ACLOperationRead))
		}
	}
	for _, u := range b.cfg.Users {
		give("User:"+u.Name, u.Rights, u.Name+"*")
	}
	if len(b.cfg.Users) == 0 {
		give(guest, b.cfg.Guests, "*")
	}
	own := right(everyUser, kmsg.ACLResourceTypeGroup, ownGroups+"*", kmsg.ACLOperationAll)
	own.PermissionType = kmsg.ACLPermissionTypeDeny
	req.Creations = append(req.Creations, own)
	cl, err := b.Cluster().Client("belfry-broker")
	if err != nil {
		return err
	}
	defer cl.Close()
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	for _, r := range resp.Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return err
		}
	}
	return nil
}

func right(
	principal string, kind kmsg.ACLResourceType, name string, op kmsg.ACLOperation,
) kmsg.CreateACLsRequestCreation {
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType = kind
	c.ResourceName = name
	c.ResourcePatternType = kmsg.ACLResourcePatternTypeLiteral
	if prefix, ok := strings.CutSuffix(name, "*"); ok && prefix != "" {
		c.ResourceName = prefix
		c.ResourcePatternType = kmsg.ACLResourcePatternTypePrefixed
	}
	c.Principal = principal
	c.Host = "*"
	c.Operation = op
	c.PermissionType = kmsg.ACLPermissionTypeAllow
	return c
}
