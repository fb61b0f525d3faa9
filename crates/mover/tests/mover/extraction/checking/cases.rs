//! Things in a database that cannot be moved, one at a time.

use protocol::{
    Side::{self, Monolith, Service},
    finding::Severity::{self, Refuse, Warn},
};

pub struct Case {
    pub name: &'static str,
    pub side: Side,
    /// Run by the application on that side.
    pub spoil: &'static str,
    pub expected: &'static [(Severity, &'static str, &'static str)],
}

const fn case(
    name: &'static str,
    side: Side,
    spoil: &'static str,
    expected: &'static [(Severity, &'static str, &'static str)],
) -> Case {
    Case {
        name,
        side,
        spoil,
        expected,
    }
}

pub const CASES: &[Case] = &[
    case("fine", Monolith, "", &[]),
    case(
        "no_table_old",
        Monolith,
        "drop table a cascade",
        &[(Refuse, "public.a in", "no such table")],
    ),
    case(
        "no_table_new",
        Service,
        "drop table svc.b",
        &[(Refuse, "svc.b in", "no such table")],
    ),
    case(
        "a_view",
        Service,
        "drop table svc.b; create view svc.b as select 1 as id",
        &[(Refuse, "svc.b", "a view")],
    ),
    case(
        "partitioned",
        Service,
        "drop table svc.b; create table svc.b (id bigint primary key) partition by list (id)",
        &[(Refuse, "svc.b", "a partitioned table")],
    ),
    case(
        "a_partition",
        Service,
        "create table svc.p (like svc.b including all) partition by list (id); \
         alter table svc.b alter id drop identity; alter table svc.p alter id drop identity; \
         alter table svc.b alter id set default 1; \
         alter table svc.p attach partition svc.b default",
        &[
            (Refuse, "svc.b in", "is a partition"),
            (Refuse, "svc.b.id", "this one has none"),
        ],
    ),
    case(
        "a_parent",
        Monolith,
        "create table kid () inherits (a)",
        &[(Refuse, "public.a", "inherits")],
    ),
    case(
        "no_key",
        Service,
        "alter table svc.b drop constraint b_pkey",
        &[(Refuse, "svc.b", "no primary key")],
    ),
    case(
        "deferrable",
        Service,
        "alter table svc.b drop constraint b_pkey; alter table svc.b add primary key (id) deferrable",
        &[(Refuse, "svc.b", "deferrable")],
    ),
    case(
        "another_key",
        Service,
        "alter table svc.b drop constraint b_pkey; alter table svc.b add primary key (t)",
        &[
            (Refuse, "primary key of svc.b", "it is (t)"),
            (Refuse, "svc.b.t", "NOT NULL"),
        ],
    ),
    case(
        "no_column",
        Service,
        "alter table svc.b drop t",
        &[(Refuse, "public.a.t", "svc.b has no column for it")],
    ),
    case(
        "another_type",
        Service,
        "alter table svc.b alter t type bytea using null",
        &[(Refuse, "public.a.t", "bytea")],
    ),
    case(
        "shorter",
        Service,
        "alter table svc.b alter t type varchar(9)",
        &[(Warn, "public.a.t", "(9)")],
    ),
    case(
        "more_columns",
        Service,
        "alter table svc.b add need text not null, add extra text, add filled text not null default ''",
        &[
            (Refuse, "svc.b.need", "without a default"),
            (Warn, "svc.b.extra", "does not go back"),
            (Warn, "svc.b.filled", "does not go back"),
        ],
    ),
    case(
        "generated_new",
        Service,
        "alter table svc.b drop t, add t text generated always as ('x') stored",
        &[(Refuse, "svc.b.t", "the service computes")],
    ),
    case(
        "generated_old",
        Monolith,
        "alter table a drop t, add t text generated always as ('x') stored",
        &[(Refuse, "svc.b.t", "the monolith computes")],
    ),
    case(
        "null_new",
        Service,
        "alter table svc.b alter t set not null",
        &[(Refuse, "svc.b.t", "NOT NULL")],
    ),
    case(
        "null_old",
        Monolith,
        "alter table a alter t set not null",
        &[(Warn, "svc.b.t", "may be null")],
    ),
    case(
        "rows",
        Service,
        "insert into svc.b values (1)",
        &[(Refuse, "svc.b", "not empty")],
    ),
    case(
        "triggers",
        Service,
        "create function f() returns trigger language plpgsql as 'begin return null; end'; \
         create trigger usual after insert on svc.b execute function f(); \
         create trigger always after insert on svc.b execute function f(); \
         create trigger off after insert on svc.b execute function f(); \
         alter table svc.b enable always trigger always; alter table svc.b disable trigger off",
        &[
            (Warn, "trigger usual", "does not fire"),
            (Refuse, "trigger always", "replication writes"),
        ],
    ),
    case(
        "a_rule",
        Monolith,
        "create rule r as on delete to a do also notify x",
        &[(Refuse, "rule r", "change what is written")],
    ),
    case(
        "unlogged",
        Service,
        "alter table svc.b set unlogged",
        &[(Refuse, "svc.b", "unlogged")],
    ),
    case(
        "no_identity",
        Monolith,
        "alter table a replica identity nothing",
        &[(Refuse, "public.a", "REPLICA IDENTITY NOTHING")],
    ),
    case(
        "row_security",
        Monolith,
        "alter table a enable row level security",
        &[(Refuse, "public.a", "row security")],
    ),
    case(
        "row_security_that_hides",
        Monolith,
        "alter table a enable row level security; alter table a force row level security",
        &[(Refuse, "public.a", "row security")],
    ),
    case(
        "row_security_that_hides_what_stays",
        Monolith,
        "alter table stays enable row level security; alter table stays force row level security",
        &[(
            Refuse,
            "public.stays in",
            "row security hides rows from role banyan_mover",
        )],
    ),
    case(
        "row_security_that_hides_nothing",
        Monolith,
        "alter table stays enable row level security",
        &[],
    ),
    case(
        "money_and_classes",
        Monolith,
        "alter table a add m money, add r regclass",
        &[
            (Refuse, "column m", "money"),
            (Refuse, "column r", "regclass"),
            (Refuse, "public.a.m", "no column"),
            (Refuse, "public.a.r", "no column"),
        ],
    ),
    case(
        "undeclared",
        Monolith,
        "create table other (id bigint primary key, b bigint references a)",
        &[(
            Refuse,
            "public.other.b, foreign key other_b_fkey",
            "its table stays",
        )],
    ),
    case(
        "cascading",
        Monolith,
        "alter table stays drop constraint stays_a_fkey; \
         alter table stays add foreign key (a) references a on delete cascade on update set null",
        &[
            (Refuse, "stays_a_fkey", "ON DELETE CASCADE"),
            (Refuse, "stays_a_fkey", "ON UPDATE SET NULL"),
        ],
    ),
    case(
        "declared_for_nothing",
        Monolith,
        "alter table stays drop constraint stays_a_fkey",
        &[(Refuse, "public.stays.a", "no foreign key leads")],
    ),
    case(
        "outwards",
        Monolith,
        "alter table a add s bigint references stays on delete cascade; alter table a drop k",
        &[
            (Warn, "a_s_fkey", "the fence refuses"),
            (Refuse, "public.a.s", "no column"),
            (Warn, "svc.b.k", "does not go back"),
        ],
    ),
    case(
        "service_keys",
        Service,
        "alter table svc.b add constraint outward foreign key (id) references svc.stays; \
         alter table svc.stays add constraint inward foreign key (id) references svc.b",
        &[
            (Refuse, "foreign key outward", "not moved"),
            (Refuse, "foreign key inward", "emptied"),
        ],
    ),
    case(
        "shared_sequence",
        Monolith,
        "alter table stays alter id set default nextval('a_id_seq')",
        &[(Refuse, "sequence public.a_id_seq", "public.stays.id")],
    ),
    case(
        "no_sequence_new",
        Service,
        "alter table svc.b alter id drop identity",
        &[(Refuse, "svc.b.id", "this one has none")],
    ),
    case(
        "no_sequence_old",
        Monolith,
        "alter table a alter id drop identity",
        &[(Warn, "svc.b.id", "the monolith's column does not")],
    ),
    case(
        "other_steps",
        Service,
        "alter table svc.b alter id set increment 10 set cycle",
        &[(
            Warn,
            "sequence svc.b_id_seq of svc.b.id",
            "it goes on by 10, the monolith's by 1",
        )],
    ),
    case(
        "no_way_back",
        Monolith,
        "alter sequence a_id_seq maxvalue 1500; select setval('a_id_seq', 200)",
        &[(
            Warn,
            "sequence public.a_id_seq of public.a.id",
            "the way back is closed after a switch: a hand-over moves it past the service's",
        )],
    ),
    case(
        "unique_new",
        Service,
        "create unique index u on svc.b (t); create unique index v on svc.b (lower(k)) where k > ''",
        &[
            (Warn, "unique index u", "monolith has none"),
            (Warn, "unique index v", "monolith has none"),
        ],
    ),
    case(
        "unique_old",
        Monolith,
        "create unique index u on a (t, k)",
        &[(Warn, "index u", "service has none")],
    ),
    case(
        "published",
        Monolith,
        "create publication banyan_other for table a; create publication mine for table a",
        &[(Refuse, "public.a", "publication banyan_other")],
    ),
];
