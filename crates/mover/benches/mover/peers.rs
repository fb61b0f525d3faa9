//! What people copy databases with today, as their manuals say, two jobs each.

/// A way to copy, with its indexes, as lines of shell.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What it needs beside PostgreSQL's own programs.
    pub(crate) program: &'static str,
    pub(crate) script: &'static str,
}

/// The last is the floor: bytes through a pipe, nothing else.
pub(crate) const PEERS: [Peer; 4] = [
    Peer {
        name: "pgcopydb",
        program: "pgcopydb",
        script: "pgcopydb clone --source \"$SOURCE\" --target \"$TARGET\" \
                 --table-jobs 2 --index-jobs 2 --dir cdb",
    },
    Peer {
        name: "dump_restore",
        program: "pg_dump",
        script: "pg_dump -Fd -j2 -Z0 -f dump \"$SOURCE\"; pg_restore -j2 -d \"$TARGET\" dump",
    },
    Peer {
        name: "native",
        program: "pg_dump",
        // The indexes after the data, which is its better way.
        script: "pg_dump -s --section=pre-data \"$SOURCE\" | psql -qX \"$TARGET\" >/dev/null
            psql -qX \"$SOURCE\" -c 'drop publication if exists peer' -c 'create publication peer for all tables'
            psql -qX \"$TARGET\" -c \"create subscription peer connection '$SOURCE' publication peer\"
            while [ \"$(psql -qAtX \"$TARGET\" -c \"select count(*) from pg_subscription_rel where srsubstate <> 'r'\")\" != 0 ]
            do sleep 0.1; done
            pg_dump -Fc -s \"$SOURCE\" -f schema.dump
            pg_restore --section=post-data -j2 -d \"$TARGET\" schema.dump || true",
    },
    Peer {
        name: "raw",
        program: "psql",
        script: "pg_dump -s --section=pre-data \"$SOURCE\" | psql -qX \"$TARGET\" >/dev/null
            for t in $TABLES; do
                p=$(psql -qAtX \"$SOURCE\" -c \"select greatest(relpages, 2) / 2 from pg_class where relname = '$t'\")
                psql -qX \"$SOURCE\" -c \"copy (select * from $t where ctid < '($p,0)'::tid) to stdout (format binary)\" |
                    psql -qX \"$TARGET\" -c \"copy $t from stdin (format binary)\" &
                psql -qX \"$SOURCE\" -c \"copy (select * from $t where ctid >= '($p,0)'::tid) to stdout (format binary)\" |
                    psql -qX \"$TARGET\" -c \"copy $t from stdin (format binary)\"
                wait
            done
            pg_dump -Fc -s \"$SOURCE\" -f schema.dump
            pg_restore --section=post-data -j2 -d \"$TARGET\" schema.dump",
    },
];
