//! The compose file, the image, and the databases' beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use serde_json::Value;
use testbed::binaries;
use testbed::cluster::{Cluster, Options, Rights};
use testbed::directory::PrivateDirectory;
use testbed::process::{self, Spec};
use testbed::set::members::MEMBERS;

use crate::settings::{Declared, is_secret};
use crate::{LIMIT, checker, deploy, example, fails, read, succeeds, yaml};

const FILE: &str = "compose/docker-compose.services.yml";

fn environment(service: &Value) -> BTreeMap<String, String> {
    let pairs = service["environment"].as_object().unwrap().iter();
    pairs
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test]
async fn it_is_as_the_compose_specification_wants_it() {
    let check = async |file| {
        let arguments = ["--builtin-schema", "vendor.compose-spec"];
        checker("check-jsonschema").await.args(arguments).arg(file)
    };
    succeeds(check(deploy(FILE)).await).await;
    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("wrong.yml");
    std::fs::write(
        &wrong,
        read(FILE).replace("read_only: true", "readonly: true"),
    )
    .unwrap();
    fails(check(wrong).await).await;
}

#[tokio::test]
async fn the_dockerfile_is_sound() {
    succeeds(checker("hadolint").await.arg(deploy("compose/Dockerfile"))).await;
    let text = read("compose/Dockerfile");
    for line in ["ARG PACKAGE", "USER 65532:65532", "HEALTHCHECK "] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "no {line}"
        );
    }
    // The compiler that the workspace asks for.
    let manifest = std::fs::read_to_string(binaries::repository().join("Cargo.toml")).unwrap();
    let line = manifest
        .lines()
        .find(|line| line.starts_with("rust-version"));
    let version = line.unwrap().split('"').nth(1).unwrap();
    assert!(
        text.contains(&format!("FROM rust:{version}-slim")),
        "not Rust {version}"
    );
}

/// What the image is built from is all that cargo needs.
#[tokio::test]
async fn the_build_context_is_whole() {
    let context = tempfile::tempdir().unwrap();
    let root = binaries::repository();
    let rules = read("compose/Dockerfile.dockerignore");
    for path in rules.lines().filter_map(|line| line.strip_prefix('!')) {
        let to = context.path().join(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let copy = Spec::new("cp", "cp")
            .args(["-a", "--"])
            .arg(root.join(path))
            .arg(to);
        succeeds(copy).await;
    }
    assert!(context.path().join("deploy/compose/healthy").is_file());
    // Without what other platforms would need: whoever runs this has built, and
    // so loaded, what this one does.
    let cargo = Spec::new("cargo", env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", &platform().await]);
    succeeds(cargo.directory(context.path())).await;
}

/// What the compiler calls this platform.
async fn platform() -> String {
    let rustc = Spec::new("rustc", "rustc").args(["--print", "host-tuple"]);
    let answer = process::run(&rustc, LIMIT).await.unwrap();
    answer.successful().unwrap().stdout.trim().to_owned()
}

#[tokio::test]
async fn every_service_gets_what_it_reads_and_no_more() {
    let file = yaml(FILE);
    for member in MEMBERS {
        let service = &file["services"][member.name];
        let port = member.port.to_string();
        assert_eq!(service["build"]["args"]["PACKAGE"], member.package);
        assert_eq!(service["environment"]["SERVICE_PORT"], port.as_str());
        assert_eq!(service["expose"][0], port.as_str());
        assert_eq!(service["read_only"], true, "{}", member.name);
        assert_eq!(service["ports"], Value::Null, "only the gateway is reached");
        let upstream = format!("{}_URL", member.name.to_uppercase());
        let url = format!("http://{}:{port}", member.name);
        assert_eq!(
            file["services"]["gateway"]["environment"][upstream],
            url.as_str()
        );
        if let Some(declared) = Declared::of(member).await {
            let problems = declared.problems(&environment(service));
            assert_eq!(problems, [""; 0], "{}", member.name);
        }
    }
}

#[test]
fn secrets_come_from_the_environment_and_the_example_lists_them() {
    let file = yaml(FILE);
    let listed: BTreeSet<String> = example("compose/env.services.example")
        .into_iter()
        .collect();
    let text = read(FILE);
    let references = text.split("${").skip(1);
    let references = references.map(|rest| rest.split([':', '}']).next().unwrap());
    let used: BTreeSet<String> = references.map(str::to_owned).collect();
    assert_eq!(used, listed);
    for (name, service) in file["services"].as_object().unwrap() {
        if service["environment"].is_null() {
            continue;
        }
        for (variable, value) in environment(service) {
            // A password in a URL is one that is filled in.
            let filled =
                value.contains("${") && value.contains(":?}") || value == "${SMTP_PASSWORD:-}";
            assert!(
                !is_secret(&variable) || filled,
                "{name}: {variable} is {value}"
            );
        }
    }
}

/// The plan gets from the gateway's container what it refers to.
#[test]
fn the_gateway_gets_what_its_plan_refers_to() {
    let given = environment(&yaml(FILE)["services"]["gateway"]);
    for rest in read("plan/banyan.yaml").split("${").skip(1) {
        let name = rest.split('}').next().unwrap();
        assert!(given.contains_key(name), "{name} is not given");
    }
}

#[tokio::test]
async fn the_databases_are_made_with_two_roles_each() {
    let directory = PrivateDirectory::new().unwrap();
    let mut cluster = Cluster::create(&directory, "db", &Options::fast())
        .await
        .unwrap();
    cluster
        .create_role("boss", Rights::Superuser)
        .await
        .unwrap();
    let url = cluster.url("boss", "postgres").unwrap();
    let password = url.split([':', '@']).nth(2).unwrap();
    let mut spec = Spec::new("init", "sh")
        .arg(deploy("compose/postgres/init.sh"))
        .env("POSTGRES_USER", "boss")
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", cluster.port().to_string())
        .env("PGPASSWORD", password);
    for member in MEMBERS {
        let name = member.package.to_uppercase();
        spec = spec
            .env(format!("{name}_OWNER_PASSWORD"), "o'wner")
            .env(format!("{name}_APP_PASSWORD"), "app");
    }
    process::run(&spec, LIMIT)
        .await
        .unwrap()
        .successful()
        .unwrap();
    for member in MEMBERS {
        let connect = async |role: &str, password: &str, database: &str| {
            let port = cluster.port();
            let url = format!("postgres://{role}:{password}@127.0.0.1:{port}/{database}");
            testbed::cluster::connect_url(&url).await
        };
        connect(&member.owner_role(), "o'wner", member.package)
            .await
            .unwrap();
        connect(&member.app_role(), "app", member.package)
            .await
            .unwrap();
        let others = if member.package == "identity" {
            "registry"
        } else {
            "identity"
        };
        assert!(connect(&member.app_role(), "app", others).await.is_err());
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_container_knows_whether_its_program_can_work() {
    let healthy = |variable: &str, port: u16| {
        let spec = Spec::new("healthy", deploy("compose/healthy"));
        spec.env(variable, port.to_string())
    };
    for (variable, path) in [
        ("SERVICE_PORT", "/health/ready"),
        ("GATEWAY_PORT", "/health"),
    ] {
        for (status, good) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let served = std::thread::spawn(move || answer(&listener, status));
            let finished = process::run(&healthy(variable, port), LIMIT).await.unwrap();
            assert_eq!(finished.code == 0, good, "{status}: {}", finished.code);
            let asked = served.join().unwrap();
            assert!(
                asked.starts_with(&format!("GET {path} HTTP/1.1\r\n")),
                "{asked}"
            );
        }
    }
    fails(healthy("SERVICE_PORT", testbed::ports::free().unwrap())).await;
}

/// Answers one request; what it was.
fn answer(listener: &TcpListener, status: &str) -> String {
    use std::io::{Read, Write};
    let (mut stream, _) = listener.accept().unwrap();
    let mut asked = String::new();
    let mut some = [0; 1024];
    while !asked.ends_with("\r\n\r\n") {
        let length = stream.read(&mut some).unwrap();
        asked.push_str(std::str::from_utf8(&some[..length]).unwrap());
    }
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
    asked
}
