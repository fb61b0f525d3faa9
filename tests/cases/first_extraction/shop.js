// A shop in Express, before anybody thought of services. With `SCHEMA=orders` and a database of
// its own it is the service that orders move to.
const express = require("express");
const { Pool, types } = require("pg");

types.setTypeParser(20, Number);
const schema = process.env.SCHEMA || "public";
const pool = new Pool({
  connectionString: process.env.DATABASE_URL,
  application_name: process.env.APPLICATION_NAME || "shop-web",
  options: `-c search_path=${schema}`,
});
const app = express();
app.use(express.json());

async function inTransaction(work) {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const result = await work(client);
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

const answer = (handler) => async (request, response) => {
  try {
    await handler(request, response);
  } catch (error) {
    // 25006: the fence. The request came past the gateway, or a hand-over has just begun.
    response.status(error.code === "25006" ? 503 : 500).json({ error: error.message });
  }
};

app.get("/health", answer(async (_, response) => {
  await pool.query("select 1");
  response.json({ ok: true });
}));

app.get("/api/orders", answer(async (_, response) => {
  const found = await pool.query("select * from orders order by id desc limit 50");
  response.json(found.rows);
}));

app.get("/api/orders/:id", answer(async (request, response) => {
  const found = await pool.query("select * from orders where id = $1", [request.params.id]);
  if (found.rowCount === 0) return response.status(404).json({ error: "no such order" });
  const items = await pool.query("select * from order_items where order_id = $1 order by id", [request.params.id]);
  response.json({ ...found.rows[0], items: items.rows });
}));

app.post("/api/orders", answer(async (request, response) => {
  const { customer_id, items = [] } = request.body;
  const made = await inTransaction(async (client) => {
    const order = await client.query(
      "insert into orders (customer_id, status) values ($1, 'new') returning *", [customer_id]);
    for (const { sku, quantity } of items) {
      await client.query(
        "insert into order_items (order_id, sku, quantity) values ($1, $2, $3)",
        [order.rows[0].id, sku, quantity]);
    }
    return order.rows[0];
  });
  response.status(201).json(made);
}));

app.patch("/api/orders/:id", answer(async (request, response) => {
  const changed = await pool.query(
    "update orders set status = $2 where id = $1 returning *", [request.params.id, request.body.status]);
  if (changed.rowCount === 0) return response.status(404).json({ error: "no such order" });
  response.json(changed.rows[0]);
}));

app.get("/api/customers", answer(async (_, response) => {
  const found = await pool.query("select * from customers order by id");
  response.json(found.rows);
}));

app.listen(Number(process.env.PORT), "127.0.0.1");
