//! Reads a JSON list of desired states from standard input and writes a JSON list of what nmstate says to each: an empty
//! text for one that it takes.

use std::io::Read;

use nmstate::NetworkState;

fn problem(state: &serde_json::Value) -> String {
    match NetworkState::new_from_json(&state.to_string()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("standard input can be read");
    let states: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a JSON list is expected");
    let problems: Vec<String> = states.iter().map(problem).collect();
    println!("{}", serde_json::to_string(&problems).expect("texts can be written"));
}
