-- Lists of the deliveries of one destination, the newest first.
CREATE INDEX delivery_destination_id ON delivery (destination, id);
