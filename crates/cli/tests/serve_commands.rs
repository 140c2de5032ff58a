//! `serve` as a process: where it listens, that its rewards are those of `score`, how it stops, and what it refuses to start with.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{Ended, Workplace, lines};

/// A server that runs, and is killed with the test.
struct Running {
    process: Option<Child>,
    address: String,
}

impl Running {
    fn start(place: &Workplace, arguments: &[&str]) -> Self {
        let mut command = place.command(&[&["serve", "model", "--port", "0"], arguments].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("serving model at http://").unwrap_or_else(|| {
            panic!("no address in `{line}`");
        });
        let address = address.to_owned();
        Self { process: Some(process), address }
    }

    /// Status and body of a reply.
    fn ask(&self, request: &str, head: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{head}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// Tells the server to stop, as a system does, and waits for its end.
    fn stop(mut self) -> Ended {
        let process = self.process.take().unwrap();
        let stopped = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
        assert!(stopped.unwrap().success());
        Ended::of(process.wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

fn data_url(place: &Workplace, name: &str) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(std::fs::read(place.path(name)).unwrap()))
}

#[test]
fn rewards_over_http_are_those_of_a_file_to_the_last_bit() {
    let place = Workplace::with_model();
    let rows: Vec<Value> = ["square", "circle", "odd_wide"]
        .iter()
        .map(|picture| {
            json!({
                "images": [data_url(&place, &format!("images/{picture}.png"))],
                "prompt": format!("Is this a {picture}?"),
                "responses": ["Yes.", "No, it is not.", format!("A {picture}, yes.")],
            })
        })
        .collect();
    place.write("rows.jsonl", lines(&rows));
    for dtype in ["f32", "bf16"] {
        let scored = place.succeed(&["score", "model", "rows.jsonl", "--dtype", dtype]).rows();
        let server = Running::start(&place, &["--dtype", dtype]);
        for (row, scored) in rows.iter().zip(&scored) {
            let (status, reply) = server.ask("POST /v1/reward", "", &row.to_string());
            assert_eq!(status, 200, "{reply}");
            assert_eq!(reply["rewards"], scored["scores"], "{dtype}");
        }
        let ended = server.stop();
        assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    }
}

#[test]
fn a_server_that_others_can_reach_asks_for_a_key() {
    let mut place = Workplace::with_model();
    let sentence = place.refused(&["serve", "model", "--host", "0.0.0.0", "--port", "0"]);
    assert!(sentence.contains("--api-key-file"), "{sentence}");
    place.write("keys.txt", "\n");
    let sentence = place.refused(&["serve", "model", "--api-key-file", "keys.txt"]);
    assert!(sentence.contains("`keys.txt` has no key"), "{sentence}");
    place.set("BASEREWARD_API_KEY", "secret");
    let server = Running::start(&place, &[]);
    let row = json!({"prompt": "p", "responses": ["a"]}).to_string();
    assert_eq!(server.ask("POST /v1/reward", "", &row).0, 401);
    assert_eq!(server.ask("POST /v1/reward", "authorization: Bearer secret\r\n", &row).0, 200);
    assert_eq!(server.ask("GET /ready", "", "").0, 200);
}

#[test]
fn a_model_that_gives_other_rewards_than_it_was_stored_with_is_not_served() {
    let place = Workplace::new();
    place.succeed(&["init", "tiny", "-o", "model", "--seed", "3"]);
    let ended = Running::start(&place, &["--selfcheck"]).stop();
    assert!(ended.err.contains("gives the stored probe scores bit for bit"), "{}", ended.err);
    place.edit_tensors(|tensors| {
        let norm = tensors.iter_mut().find(|one| one.name == "model.norm.weight").unwrap();
        norm.bytes[0] ^= 0x10;
    });
    let ended = place.run(&["serve", "model", "--port", "0", "--selfcheck"]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(ended.err.contains("was stored with it"), "{}", ended.err);
    std::fs::remove_file(place.path("model/probe_scores.json")).unwrap();
    let ended = Running::start(&place, &["--selfcheck"]).stop();
    assert!(ended.err.contains("stores no probe scores"), "{}", ended.err);
}

#[test]
fn an_address_that_is_taken_and_files_that_are_no_keys_are_told() {
    let place = Workplace::with_model();
    let server = Running::start(&place, &[]);
    let port = server.address.rsplit(':').next().unwrap();
    let sentence = place.refused(&["serve", "model", "--port", port]);
    let address = &server.address;
    let reason = TcpListener::bind(address).unwrap_err();
    assert_eq!(
        sentence,
        format!(
            "basereward: cannot listen on `{address}`: {reason}; choose another --port or --host\n"
        )
    );
    place.write("chain.pem", "no certificate");
    let tls = ["--tls-cert", "chain.pem", "--tls-key", "chain.pem"];
    let root = ["--allow-path", "absent"];
    let feedback = ["--feedback", "absent/choices.jsonl"];
    for (arguments, expected) in [
        (
            &tls[..],
            "`chain.pem` cannot be used for TLS: it holds no certificate; give PEM files that belong together",
        ),
        (
            &root,
            "a folder of --allow-path cannot be used: No such file or directory (os error 2); give folders that exist",
        ),
        (
            &feedback,
            "`absent/choices.jsonl` of --feedback cannot be appended to: No such file or directory (os error 2); give a file in a folder \
             that can be written",
        ),
    ] {
        let sentence = place.refused(&[&["serve", "model", "--port", "0"], arguments].concat());
        assert_eq!(sentence, format!("basereward: {expected}\n"));
    }
}
