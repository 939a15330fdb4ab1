//! `kinlog tree`: as text, JSON, a picture, and for Graphviz.

use std::fs;
use std::path::Path;

use kinlog::event::Started;
use kinlog::{NewChild, NewEvent, NewReset, NewRun, ParentClosePolicy, Store};
use kinlog_testing::steps::recorded;
use serde_json::json;

use super::common::{call, small_store};
use super::family::{deep, family, hostile, id, many_children, record, told_of};

/// The lines without sizes in bytes.
fn lines(text: &str) -> Vec<String> {
    let clean = |line: &str| {
        let mut words = vec![];
        for word in line.split(' ') {
            match word {
                "B" | "KiB" => drop(words.pop()),
                word => words.push(word),
            }
        }
        words.join(" ")
    };
    text.lines().map(clean).collect()
}

#[test]
fn a_tree_is_drawn_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let drawn = call(&store, ["tree", "order-42"]).ok().out;
    let expected = [
        format!("order-42  Running  13 events,  run {}", id(1)),
        "├─ ship  Running  request cancel  5 events,  2 runs".to_owned(),
        "│  └─ label  Running  terminate  1 event,".to_owned(),
        "├─ bill  Completed  terminate  2 events,".to_owned(),
        "├─ mail  Running  abandon  2 events,  asked to cancel".to_owned(),
        "├─ pack  to be started  terminate".to_owned(),
        "├─ ghost  start failed  terminate".to_owned(),
        "└─ late  Failed  terminate  2 events,".to_owned(),
        "7 runs, 25 events, in the whole tree".to_owned(),
    ];
    assert_eq!(lines(&drawn), expected, "{drawn}");
    call(&store, ["tree", "nobody"]).fails(5, "there is no run \"nobody\"");
}

#[test]
fn limits_say_what_they_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = many_children(dir.path(), 1100);
    let shown = |args: &[&str]| {
        let out = call(&store, ["tree", "wide"].iter().chain(args)).ok().out;
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let usual = shown(&[]);
    assert_eq!(usual.len(), 1 + 20 + 1 + 2);
    assert!(usual[20].starts_with("├─ c-20  "), "{usual:#?}");
    assert_eq!(usual[21], "└─ … and 1,080 more children");
    assert!(usual[22].starts_with("1,101 runs, 3,301 events, "), "{usual:#?}");
    let cut = "without 1,080 children and what is below; \
               --width N and --depth N show more, --all everything";
    assert_eq!(usual[23], cut);
    for args in [&["--all"][..], &["--width", "0"], &["--width", "1100"]] {
        let all = shown(args);
        assert_eq!(all.len(), 1 + 1100 + 1);
        assert!(all[1100].starts_with("└─ c-1100  "), "{}", all[1100]);
    }
    assert_eq!(shown(&["--width", "1099"])[1100], "└─ … and 1 more child");
    call(&store, ["tree", "wide", "--all", "--width", "3"]).fails(2, "cannot be used with");
    call(&store, ["tree", "wide", "--json", "--svg", "-"]).fails(2, "cannot be used with");
}

#[test]
fn a_depth_cuts_below_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let drawn = call(&store, ["tree", "order-42", "--depth", "1", "--width", "2"]).ok().out;
    let drawn = lines(&drawn);
    assert!(drawn[1].starts_with("├─ ship"), "{drawn:#?}");
    assert_eq!(drawn[2], "│  └─ … 1 child");
    assert!(drawn[3].starts_with("├─ bill"), "{drawn:#?}");
    assert_eq!(drawn[4], "└─ … and 4 more children");
    assert!(drawn[6].starts_with("without 5 children"), "{drawn:#?}");
    assert_eq!(call(&store, ["tree", "ship", "--json"]).ok().json().len(), 2);
}

#[test]
fn a_node_is_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let mut nodes = call(&store, ["tree", "order-42", "--json"]).ok().json();
    assert_eq!(nodes.len(), 8);
    for node in &mut nodes[..2] {
        assert!(node["bytes"].take().as_u64().is_some_and(|bytes| bytes > 100));
    }
    let root = json!({
        "depth": 0, "workflow_id": "order-42", "run_id": id(1).to_string(), "status": "Running",
        "cancel_requested": false, "initiated_event_id": null, "policy": null, "state": null,
        "outcome": null, "first_run_id": null, "is_here": true, "held_by": null, "runs": 1,
        "events": 13, "bytes": null, "children": 6, "hidden_children": 0,
    });
    assert_eq!(nodes[0], root);
    let ship = json!({
        "depth": 1, "workflow_id": "ship", "run_id": id(3).to_string(), "status": "Running",
        "cancel_requested": false, "initiated_event_id": 2, "policy": "RequestCancel",
        "state": "Running", "outcome": null, "first_run_id": id(2).to_string(), "is_here": true,
        "held_by": null, "runs": 2, "events": 5, "bytes": null, "children": 1,
        "hidden_children": 0,
    });
    assert_eq!(nodes[1], ship);
    let pack = &nodes[5];
    assert_eq!((&pack["workflow_id"], &pack["state"]), (&json!("pack"), &json!("Initiated")));
    assert_eq!((&pack["run_id"], &pack["bytes"]), (&json!(null), &json!(0)));

    let dir = tempfile::tempdir().unwrap();
    let store = many_children(dir.path(), 30);
    assert_eq!(call(&store, ["tree", "wide", "--json"]).ok().json().len(), 31);
    let cut = call(&store, ["tree", "wide", "--json", "--width", "3"]).ok().json();
    assert_eq!((cut.len(), &cut[0]["hidden_children"]), (4, &json!(27)));
}

#[test]
fn a_deep_tree_is_numbered_and_not_moved_out_of_sight() {
    let dir = tempfile::tempdir().unwrap();
    let store = deep(dir.path(), 100_000);
    let out = call(&store, ["tree", "level-0"]).ok().out;
    let drawn: Vec<&str> = out.lines().collect();
    assert_eq!(drawn.len(), 100_002);
    let indent = " ".repeat(15 * 3);
    assert!(drawn[16].starts_with(&format!("{indent}└─ level-16  Running")), "{}", drawn[16]);
    assert!(drawn[17].starts_with(&format!("{indent}   ┊ 17 level-17  ")), "{}", drawn[17]);
    assert!(drawn[100_000].starts_with(&format!("{indent}   ┊ 100000 level-100000  ")));
    assert!(drawn[100_001].starts_with("100,001 runs, 300,001 events, "), "{}", drawn[100_001]);
    for form in ["--svg", "--dot"] {
        let picture = call(&store, ["tree", "level-0", "--all", form, "-"]).ok().out;
        assert!(picture.contains("level-100000"), "{form}");
    }
}

#[test]
fn children_that_moved_or_never_started_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = small_store(dir.path());
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "order-42", "Order").id(id(1))).unwrap();
    tx.spawn_child(&id(1), NewChild::new("ship", "Step").id(id(2))).unwrap();
    tx.initiate_child(&id(1), NewChild::new("pack", "Step")).unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    tx.reset(&id(1), NewReset::to(3).id(id(3))).unwrap();
    tx.commit().unwrap();
    store.shut_down().unwrap();
    let old = call(&path, ["tree", &id(1).to_string()]).ok().out;
    assert!(old.contains(&format!("├─ ship  moved  terminate  to {}\n", id(3))), "{old}");
    assert!(old.contains("└─ pack  never started  terminate\n"), "{old}");
    let new = call(&path, ["tree", "order-42"]).ok().out;
    assert!(new.contains("└─ ship  Running  terminate  1 event, "), "{new}");
}

#[test]
fn what_was_recorded_need_not_be_here() {
    let dir = tempfile::tempdir().unwrap();
    let path = small_store(dir.path());
    let store = Store::open(&path).unwrap();
    record(&store, 1, 1, None, &told_of("gone", 2));
    drop(store);
    let drawn = call(&path, ["tree", "old"]).ok().out;
    assert!(drawn.contains("└─ gone  Running  abandon  not here\n"), "{drawn}");
    let shown = call(&path, ["show", "old"]).ok().out;
    let parent = format!("parent     far, run {}, not here, event 5\n", id(99));
    let root = format!("root       farther, run {}, not here\n", id(98));
    assert!(shown.contains(&parent) && shown.contains(&root), "{shown}");
    let child = call(&path, ["children", "old", "--json"]).ok().json().remove(0);
    assert_eq!((&child["is_here"], &child["current_run_id"]), (&json!(false), &json!(null)));
    assert_eq!(child["first_run_id"], id(2).to_string());
}

/// A recorded run can claim to be its own child, and to have a child that names another parent.
#[test]
fn a_chain_stands_in_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = small_store(dir.path());
    let store = Store::open(&path).unwrap();
    record(&store, 1, 1, None, &[]);
    record(&store, 2, 2, None, &told_of("old", 1));
    let started = Started {
        parent_workflow_id: "snake",
        parent_run_id: Some(id(3)),
        parent_initiated_event_id: 2,
        ..recorded(id(3), "snake")
    };
    let mut tx = store.begin();
    tx.start(NewRun::imported(started)).unwrap();
    for body in told_of("snake", 3) {
        tx.append(&id(3), NewEvent::new(body)).unwrap();
    }
    tx.commit().unwrap();
    drop(store);
    let other = call(&path, ["tree", &id(2).to_string()]).ok().out;
    assert!(other.contains(&format!("└─ old  Running  abandon  held by {}\n", id(99))), "{other}");
    let snake = call(&path, ["tree", "snake"]).ok().out;
    assert!(snake.contains("└─ snake  Running  abandon  stands at the root\n"), "{snake}");
    assert!(snake.contains("\n1 run, 3 events, "), "{snake}");
}

#[test]
fn a_picture_is_drawn_to_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = many_children(dir.path(), 25);
    let file = dir.path().join("tree.svg");
    let told = call(&store, ["tree", "wide", "--svg", file.to_str().unwrap()]).ok().out;
    assert!(told.contains("tree.svg: 21 nodes\nwithout 5 children"), "{told}");
    let picture = fs::read_to_string(&file).unwrap();
    assert!(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\""));
    assert!(picture.ends_with("</svg>\n"));
    assert_eq!(picture.matches("<g>").count(), 21);
    assert_eq!(picture.matches(">terminate</text>").count(), 20);
    assert!(picture.contains("… and 5 more children") && picture.contains("26 runs, "));
    assert_eq!(call(&store, ["tree", "wide", "--svg", "-"]).ok().out, picture);
    let nowhere = dir.path().join("none/tree.svg");
    call(&store, ["tree", "wide", "--svg", nowhere.to_str().unwrap()]).fails(8, "cannot write");
    if Path::new("/dev/full").exists() {
        let full = ["tree", "wide", "--svg", "/dev/full"];
        call(&store, full).fails(8, "cannot write /dev/full: No space left");
    }
}

#[test]
fn graphviz_gets_nodes_and_edges() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let dot = call(&store, ["tree", "order-42", "--dot", "-", "--width", "5"]).ok().out;
    assert!(dot.starts_with("digraph kinlog {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains(r#"n1 [label="ship\nRunning\n5 events, "#), "{dot}");
    assert!(dot.contains("n0 -> n1 [label=\"request cancel\"];\n"), "{dot}");
    assert!(dot.contains("n1 -> n2 [label=\"terminate\"];\n"), "{dot}");
    assert!(dot.contains("n7 [label=\"… and 1 more child\", shape=plaintext];\n"), "{dot}");
    assert!(dot.contains("n0 -> n7 [style=dotted];\n"), "{dot}");
}

#[test]
fn hostile_names_stay_where_they_belong() {
    let dir = tempfile::tempdir().unwrap();
    let store = hostile(dir.path());
    let run = id(1).to_string();
    let tree = |args: &[&str]| call(&store, ["tree", &run].iter().chain(args)).ok().out;
    let svg = tree(&["--svg", "-"]);
    assert!(svg.contains("a\\n\\u{1b}[2J\\u{202e}&lt;/text&gt;&lt;script&gt;&quot;x&quot;]"));
    assert!(!svg.contains("<script"), "{svg}");
    let dot = tree(&["--dot", "-"]);
    let label = r#"[label="a\\n\\u{1b}[2J\\u{202e}</text><script>\"x\"];b\\ &amp; 'y'\n"#;
    assert!(dot.contains(label), "{dot}");
    assert_eq!(dot.lines().filter(|line| line.contains("[label=")).count(), 3, "{dot}");
    let looks: [&[&str]; 6] = [
        &["tree", &run],
        &["chain", &run],
        &["children", &run],
        &["duties"],
        &["ls"],
        &["show", &run],
    ];
    for args in looks {
        let out = call(&store, args).ok().out;
        assert!(out.contains(r"a\n\u{1b}[2J\u{202e}</text>"), "{out}");
        assert!(!out.contains(['\x1b', '\u{202e}']), "{args:?}: {out}");
    }
    let error = call(&store, ["show", "</TEXT>"]).fails(5, "do you mean one of these").err;
    assert!(error.contains(r"a\n\u{1b}") && !error.contains('\x1b'), "{error}");
    let nodes = call(&store, ["tree", &run, "--json"]).ok().json();
    assert_eq!(nodes[1]["workflow_id"], super::family::HOSTILE);
}

#[test]
fn policies_are_on_the_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = small_store(dir.path());
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "order-42", "Order").id(id(1))).unwrap();
    for (name, policy) in [
        ("ship", ParentClosePolicy::Terminate),
        ("mail", ParentClosePolicy::Abandon),
        ("bill", ParentClosePolicy::RequestCancel),
    ] {
        tx.spawn_child(&id(1), NewChild::new(name, "Step").on_parent_close(policy)).unwrap();
    }
    tx.commit().unwrap();
    drop(store);
    let picture = call(&path, ["tree", "order-42", "--svg", "-"]).ok().out;
    for policy in ["terminate", "abandon", "request cancel"] {
        assert!(picture.contains(&format!(">{policy}</text>")), "{picture}");
    }
}
