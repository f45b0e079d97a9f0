//! The server as programs see it; what a person sees is tried in a browser (`cargo xtask web --browser`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use virtflow_e2e::{programs, root};
use virtflow_query::store::Store;
use virtflow_query::{is_worker, together, workers};

struct Server {
    child: Child,
    port: u16,
    secret: Option<String>,
    _cache: tempfile::TempDir,
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let mut child = Command::new(programs().unwrap().join("virtflow"))
            .arg("serve")
            .args(arguments)
            .arg("--no-open")
            .current_dir(root())
            .env("VIRTFLOW_CACHE", cache.path())
            .env_remove("VIRTFLOW_TOKEN")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let (address, secret) = match line.trim().split_once("#token=") {
            Some((address, secret)) => (address, Some(secret.to_owned())),
            None => (line.trim(), None),
        };
        let port = address.trim_end_matches('/').rsplit(':').next().unwrap();
        Self {
            port: port.parse().unwrap_or_else(|_| panic!("{line}")),
            child,
            secret,
            _cache: cache,
        }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: 127.0.0.1:{}\r\n", self.port));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str("Content-Type: application/json\r\n");
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: answer[end + 4..].to_vec(),
            head,
        }
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    /// Waits until a source is whole.
    fn complete(&self, id: &str) {
        let begun = Instant::now();
        while !self
            .get(&format!("/api/v1/sources/{id}"))
            .text()
            .contains("\"state\":\"complete\"")
        {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(mut self) -> i32 {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_and_what_it_asks_for() {
    let server = Server::start(&["fixtures/seed-nested", "--listen", "127.0.0.1:0"]);
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("text/html") && page.text().contains("<script"));
    for built in ["/app.js", "/app.css"] {
        assert_eq!(server.get(built).status, 200);
    }
    assert_eq!(server.get("/../Cargo.toml").status, 404);
    assert_eq!(server.get("/no-such-file").status, 404);
    assert_eq!(server.get("/api/v1/no-such-route").status, 404);

    server.complete("s0");
    let sources = server.get("/api/v1/sources").text();
    assert!(sources.contains("seed-nested"), "{sources}");
    let entities = server.get("/api/v1/sources/s0/entities");
    assert!(
        entities
            .head
            .contains("application/vnd.apache.arrow.stream")
    );
    let findings = server.get("/api/v1/sources/s0/findings").text();
    assert!(findings.contains("The largest steal"), "{findings}");
    let events = server
        .get("/api/v1/sources/s0/events?from_ns=0&limit=2&filter=kvm_*")
        .text();
    assert!(
        events.contains("\"name\":\"kvm_") && events.contains("\"next_ns\":\"1795"),
        "{events}"
    );
    assert_eq!(server.get("/api/v1/sources/s7/entities").status, 404);
    assert_eq!(
        server.get("/api/v1/sources/s0/state?t=yesterday").status,
        400
    );
    let picture =
        r#"{"begin_ns":"0","end_ns":"9000000000000000000","pixels":100,"entities":[0,1,2]}"#;
    let view = server.ask("POST", "/api/v1/sources/s0/viewport", &[], picture);
    assert!(view.status == 200 && view.head.contains("x-virtflow-bucket-ns"));
    let greedy = picture.replace("100", "1000000");
    assert_eq!(
        server
            .ask("POST", "/api/v1/sources/s0/viewport", &[], &greedy)
            .status,
        400
    );
    assert_eq!(server.end(), 0);
}

#[test]
fn what_workers_wait_for_together_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let store = store.to_str().unwrap();
    let made = Command::new(programs().unwrap().join("virtflow"))
        .args(["analyze", "fixtures/host-containers", "-o", store])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(made.status.success());
    let server = Server::start(&[store, "--listen", "127.0.0.1:0"]);
    server.complete("s0");
    let ask = |entities: &[u32]| {
        let body =
            format!(r#"{{"begin_ns":"0","end_ns":"9000000000000000000","entities":{entities:?}}}"#);
        server.ask("POST", "/api/v1/sources/s0/together", &[], &body)
    };
    // Two commands in containers write to one disk.
    let opened = Store::open(store.as_ref()).unwrap();
    let two = ["208", "212"].map(|tid| workers(&opened, tid)[0]);
    let found = together(&opened, &two, 0, i64::MAX).unwrap();
    let [disk] = &found.shared[..] else {
        panic!("{found:?}")
    };
    let [first, second] = &disk.workers[..] else {
        panic!("{disk:?}")
    };
    assert!(first.queued_ns > 100 * second.queued_ns && second.queued_ns > 0);
    let told = ask(&two).text();
    for expected in [
        format!("\"begin_ns\":\"{}\"", found.begin),
        format!("\"together_ns\":{}", disk.together_ns),
        format!("\"at_least_ns\":{}", disk.at_least_ns),
        format!("\"behind\":[[{},{}]]", two[1], first.queued_ns),
        format!("\"behind\":[[{},{}]]", two[0], second.queued_ns),
    ] {
        assert!(told.contains(&expected), "{expected} in {told}");
    }
    // Twice the same is one, of whom nobody stands in the way.
    assert!(ask(&[two[0], two[0]]).text().contains("\"shared\":[]"));
    assert!(ask(&[]).text().contains("\"shared\":[]"));
    assert_eq!(ask(&[two[0], 999_999]).status, 400);
    let all = opened.entities().iter().map(|e| e.entity);
    let all: Vec<u32> = all.filter(|&e| is_worker(&opened, e)).collect();
    assert_eq!((ask(&all[..64]).status, ask(&all[..65]).status), (200, 400));
    assert_eq!(server.end(), 0);
}

#[test]
fn what_is_done_is_shown_while_the_analysis_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("long");
    let made = Command::new(programs().unwrap().join("virtflow-synth"))
        .args([
            "--no-truth",
            "--seconds",
            "1000",
            "--events",
            "6000000",
            "--out",
        ])
        .arg(&trace)
        .output()
        .unwrap();
    assert!(made.status.success());
    let server = Server::start(&[trace.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let begun = Instant::now();
    let (mut early, mut told) = (0, Vec::new());
    loop {
        assert!(begun.elapsed() < Duration::from_secs(120));
        let status = server.get("/api/v1/sources/s0").text();
        let entities = server.get("/api/v1/sources/s0/entities");
        let now = server.get("/api/v1/sources/s0").text();
        // What was answered before it was whole at the end of the answer, too.
        if entities.status == 200 && now.contains("\"state\":\"analysing\"") {
            let picture = r#"{"begin_ns":"0","end_ns":"9000000000000000000","pixels":100,"entities":[0,1,2]}"#;
            let view = server.ask("POST", "/api/v1/sources/s0/viewport", &[], picture);
            assert_eq!(view.status, 200, "{}", view.text());
            early += 1;
        }
        if let Some(at) = status.find("\"complete_to_ns\":\"") {
            let rest = &status[at + 18..];
            let digits = rest.split('"').next().unwrap();
            told.push(digits.parse::<i64>().unwrap());
        }
        if status.contains("\"state\":\"complete\"") {
            break;
        }
        assert!(!status.contains("\"state\":\"failed\""), "{status}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(early > 0, "nothing could be seen before the end");
    assert!(told.is_sorted() && told.first() < told.last(), "{told:?}");
}

#[test]
fn others_pages_get_nothing() {
    let server = Server::start(&["fixtures/host-containers", "--listen", "127.0.0.1:0"]);
    let path = "/api/v1/sources";
    assert_eq!(server.get(path).status, 200);
    let local = format!("localhost:{}", server.port);
    assert_eq!(server.ask("GET", path, &[("Host", &local)], "").status, 200);
    for host in ["rebound.example", "rebound.example:80", "", "127.0.0.1:1"] {
        assert_eq!(
            server.ask("GET", path, &[("Host", host)], "").status,
            421,
            "{host}"
        );
        assert_eq!(
            server.ask("GET", "/", &[("Host", host)], "").status,
            421,
            "{host}"
        );
    }
    let own = format!("http://127.0.0.1:{}", server.port);
    assert_eq!(server.ask("GET", path, &[("Origin", &own)], "").status, 200);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(
            server.ask("GET", path, &[("Origin", origin)], "").status,
            403,
            "{origin}"
        );
    }
    // Without --root nothing more is opened.
    let open = server.ask("POST", path, &[], r#"{"path":"fixtures/seed-nested"}"#);
    assert_eq!(open.status, 403);
}

#[test]
fn where_others_reach_it_a_token_is_needed() {
    let server = Server::start(&["fixtures/host-containers", "--listen", "0.0.0.0:0"]);
    let secret = server.secret.clone().unwrap();
    assert_eq!(secret.len(), 32);
    assert_eq!(server.get("/").status, 200, "the page itself holds nothing");
    let path = "/api/v1/sources";
    assert_eq!(server.get(path).status, 401);
    let with = |token: &str| {
        server
            .ask("GET", path, &[("Authorization", token)], "")
            .status
    };
    assert_eq!(with(&format!("Bearer {secret}")), 200);
    assert_eq!(with("Bearer 0"), 401);
    assert_eq!(with(&secret), 401);
}

#[test]
fn only_what_lies_below_the_root_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::os::unix::fs::symlink(root().join("fixtures/host-containers"), inside.join("out"))
        .unwrap();
    let fixtures = root().join("fixtures");
    let server = Server::start(&[
        "--root",
        fixtures.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    let open = |server: &Server, path: &str| {
        let body = format!("{{\"path\":\"{path}\"}}");
        server.ask("POST", "/api/v1/sources", &[], &body)
    };
    let opened = open(&server, "host-containers");
    assert_eq!(opened.status, 200, "{}", opened.text());
    server.complete("s0");
    for path in ["../docs", "/etc", "", ".", "host-containers/../../docs"] {
        assert_eq!(open(&server, path).status, 400, "{path}");
    }
    assert_eq!(open(&server, "no-such-trace").status, 404);
    assert_eq!(
        server.ask("DELETE", "/api/v1/sources/s0", &[], "").status,
        204
    );
    assert_eq!(server.get("/api/v1/sources/s0").status, 404);
    drop(server);
    // A link that leads out of the root leads nowhere.
    let server = Server::start(&[
        "--root",
        inside.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(open(&server, "out").status, 404);
}
