-- The product's tables: small, with rows for which several sessions compete.
CREATE TABLE stock (
    sku      integer PRIMARY KEY,
    quantity integer NOT NULL CHECK (quantity >= 0),
    reserved integer NOT NULL DEFAULT 0
);
CREATE TABLE orders (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku        integer     NOT NULL REFERENCES stock,
    status     text        NOT NULL DEFAULT 'new',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_status ON orders (status, created_at);

INSERT INTO stock (sku, quantity) SELECT sku, 1000000 FROM generate_series(1, 200) AS sku;
INSERT INTO orders (sku) SELECT 1 + n % 200 FROM generate_series(1, 2000) AS n;
