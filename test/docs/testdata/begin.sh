# What the reader of the other guides has: an account, its token and a product team's.
exec >.log 2>&1
api() {
  curl -fsS "$BELFRY_URL/client/v4$1" -H "Authorization: Bearer $OPERATOR" -H 'Content-Type: application/json' -d "$2"
}
api /accounts '{"name":"Acme","external_id":"acme"}'
token=$(api /accounts/ext:acme/tokens '{"name":"guide","permissions":["*"]}' | jq -r .result.value)
team=$(api /producers '{"name":"Checkout"}' | jq -r .result.id)
producer_token=$(api "/producers/$team/tokens" '{"name":"guide"}' | jq -r .result.value)
cat >env <<ENV
BELFRY_ACCOUNT=ext:acme
BELFRY_TOKEN=$token
BELFRY_PRODUCER=$team
PRODUCER_TOKEN=$producer_token
ENV
rm .log
