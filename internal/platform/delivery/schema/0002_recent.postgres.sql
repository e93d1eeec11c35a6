-- With several processes, the owners of shards poll for deliveries that others
-- have stored.
CREATE INDEX delivery_recent ON delivery (id) WHERE state = 'waiting';
