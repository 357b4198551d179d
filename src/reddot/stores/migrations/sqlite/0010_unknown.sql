-- Deliveries that nobody knows the outcome of.

-- JSON array of slots of addresses that it was handed over for, and no word has come; NULL: none, or it does not matter.
ALTER TABLE delivery ADD COLUMN unknown TEXT;
