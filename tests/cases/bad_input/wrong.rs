//! What can be wrong, one thing at a time.

use anyhow::Result;
use testbed::banyan::Plan;
use testbed::scene::{CONTRACTS_DATABASE, MONOLITH_DATABASE};

/// What the table needs to know of the ground it stands on.
pub(super) struct Ground {
    /// The monolith's database as a role without rights.
    pub plain_mover: String,
    /// The monolith's database through a pooler.
    pub pooled: String,
    /// The service's database with a password that is not the role's.
    pub wrong_password: String,
    /// A port that nobody listens on.
    pub nobody: u16,
    /// A port that somebody listens on.
    pub taken: u16,
}

/// Which verb has to refuse.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trial {
    Check,
    Serve,
    Start,
}

type Edit = Box<dyn Fn(Plan) -> Result<Plan> + Send + Sync>;

/// One wrong thing.
pub(super) struct Wrong {
    pub name: &'static str,
    pub trial: Trial,
    pub plan: Edit,
    /// In which database, what to do, and how to undo it.
    pub sql: Vec<(&'static str, &'static str, &'static str)>,
    /// Which server, and its settings.
    pub servers: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
    /// What the message must contain, in any case of letters.
    pub says: Vec<String>,
}

impl Wrong {
    fn new(name: &'static str, says: &[&str]) -> Self {
        Self {
            name,
            trial: Trial::Check,
            plan: Box::new(Ok),
            sql: Vec::new(),
            servers: Vec::new(),
            says: says.iter().map(|part| (*part).to_owned()).collect(),
        }
    }

    fn plan(mut self, edit: impl Fn(Plan) -> Result<Plan> + Send + Sync + 'static) -> Self {
        self.plan = Box::new(edit);
        self
    }

    fn replace(self, old: &'static str, new: &'static str) -> Self {
        self.plan(move |plan| plan.replace(old, new))
    }

    fn set(self, name: &'static str, value: &str) -> Self {
        let value = value.to_owned();
        self.plan(move |plan| Ok(plan.set(name, &value)))
    }

    fn sql(mut self, database: &'static str, sql: &'static str, undo: &'static str) -> Self {
        self.sql.push((database, sql, undo));
        self
    }

    fn server(mut self, database: &'static str, name: &'static str, value: &'static str) -> Self {
        self.servers.push((database, vec![(name, value)]));
        self
    }

    fn by(mut self, trial: Trial) -> Self {
        self.trial = trial;
        self
    }
}

pub(super) fn all(ground: &Ground) -> Vec<Wrong> {
    let mut all = in_the_plan();
    all.extend(in_the_tables());
    all.extend(at_the_servers(ground));
    all
}

fn in_the_plan() -> Vec<Wrong> {
    vec![
        Wrong::new("an unknown key", &["workres", "line"]).replace("workers: 1", "workres: 1"),
        Wrong::new("an unknown key at serve", &["workres"])
            .replace("workers: 1", "workres: 1")
            .by(Trial::Serve),
        Wrong::new("a variable that is not set", &["MONOLITH_URL"])
            .plan(|plan| Ok(plan.unset("MONOLITH_URL"))),
        Wrong::new("a service that is not there", &["contrakts"])
            .replace("service: contracts", "service: contrakts"),
        Wrong::new("a duration without a unit", &["soon", "line"])
            .replace("hold: 2s", "hold: soon"),
        Wrong::new("a route that is no path", &["api/contracts"])
            .replace("path: /api/contracts/*", "path: api/contracts"),
        Wrong::new("a table without its schema", &["contracts_tag"])
            .replace("public.contracts_tag:", "contracts_tag:"),
    ]
}

fn in_the_tables() -> Vec<Wrong> {
    vec![
        Wrong::new("a missing table", &["public.contracts_label"])
            .replace("public.contracts_tag:", "public.contracts_label:"),
        Wrong::new("a missing target table", &["contract_service.tagz"])
            .replace("to: tags", "to: tagz"),
        Wrong::new("a column that is not there", &["nmae", "contracts_tag"])
            .replace("{ name: label }", "{ nmae: label }"),
        Wrong::new(
            "a column that does not map",
            &["lable", "contract_service.tags"],
        )
        .replace("{ name: label }", "{ name: lable }"),
        Wrong::new("a column of another type", &["price"]).sql(
            CONTRACTS_DATABASE,
            "ALTER TABLE contract_service.contracts ALTER price TYPE text",
            "ALTER TABLE contract_service.contracts ALTER price TYPE numeric(14, 2)
             USING price::numeric",
        ),
        Wrong::new(
            "a table without a primary key",
            &["contracts_contract_tags", "primary key"],
        )
        .sql(
            MONOLITH_DATABASE,
            "ALTER TABLE contracts_contract_tags DROP CONSTRAINT contracts_contract_tags_pkey",
            "ALTER TABLE contracts_contract_tags
                 ADD CONSTRAINT contracts_contract_tags_pkey PRIMARY KEY (id)",
        ),
        Wrong::new(
            "a target that is not empty",
            &["contract_service.tags", "empty"],
        )
        .sql(
            CONTRACTS_DATABASE,
            "INSERT INTO contract_service.tags (label) VALUES ('left over')",
            "DELETE FROM contract_service.tags",
        ),
        Wrong::new(
            "a target that is not empty at start",
            &["contract_service.tags", "empty"],
        )
        .sql(
            CONTRACTS_DATABASE,
            "INSERT INTO contract_service.tags (label) VALUES ('left over')",
            "DELETE FROM contract_service.tags",
        )
        .by(Trial::Start),
        Wrong::new("a reference across the border", &["workflow_stage"])
            .replace("        public.workflow_stage.contract_id: restrict\n", ""),
    ]
}

fn at_the_servers(ground: &Ground) -> Vec<Wrong> {
    let Ground {
        plain_mover,
        pooled,
        wrong_password,
        nobody,
        taken,
    } = ground;
    let (nobody, taken) = (format!("127.0.0.1:{nobody}"), format!("127.0.0.1:{taken}"));
    let unreachable = format!("postgres://banyan:secret@{nobody}/monolith");
    vec![
        Wrong::new(
            "a role without the REPLICATION right",
            &["plain_mover", "REPLICATION"],
        )
        .set("MONOLITH_DATABASE_URL", plain_mover),
        Wrong::new("a pooler", &["pooler"]).set("MONOLITH_DATABASE_URL", pooled),
        Wrong::new("an unreachable database", &[&nobody])
            .set("MONOLITH_DATABASE_URL", &unreachable),
        Wrong::new("a wrong password", &["password"]).set("CONTRACTS_DATABASE_URL", wrong_password),
        Wrong::new("a port in use", &[&taken])
            .set("GATEWAY_LISTEN", &taken)
            .by(Trial::Serve),
        Wrong::new("wal_level of the monolith", &["wal_level", "logical"]).server(
            MONOLITH_DATABASE,
            "wal_level",
            "replica",
        ),
        Wrong::new("wal_level of the service", &["wal_level", "logical"]).server(
            CONTRACTS_DATABASE,
            "wal_level",
            "replica",
        ),
        Wrong::new("no sender", &["max_wal_senders"]).server(
            MONOLITH_DATABASE,
            "max_wal_senders",
            "0",
        ),
        Wrong::new("no slot at all", &["max_replication_slots"]).server(
            MONOLITH_DATABASE,
            "max_replication_slots",
            "0",
        ),
        Wrong::new("no free slot", &["max_replication_slots"])
            .server(MONOLITH_DATABASE, "max_replication_slots", "1")
            .sql(
                MONOLITH_DATABASE,
                "SELECT pg_create_logical_replication_slot('somebody_else', 'pgoutput')",
                "SELECT pg_drop_replication_slot('somebody_else')",
            ),
    ]
}
