//! `sqlx::migrate!` reads the migrations when the crate is built; without this
//! a new migration alone would not make cargo build it again.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
