-- The index of subjects has all deliveries. PostgreSQL read the whole of the partial one, which left out deliveries
-- without a subject, for each batch of alerts' ends until it had analysed the table.
CREATE INDEX delivery_of_subject ON delivery (subject, id);
DROP INDEX delivery_subject;
