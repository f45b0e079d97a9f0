//! Screens of a real trace, as people see them. `VIRTFLOW_BLESS=1` writes what is shown.

use super::app::{Action, App, Mode};
use super::draw::draw;
use super::screen::action;
use super::source::Frame;
use crate::args::{Cli, Command, TopArgs};
use clap::Parser;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use std::path::Path;
use virtflow_query::{LiveOptions, Progress, Recording, View, replay};

fn args(line: &[&str]) -> TopArgs {
    let line = ["virtflow", "top"].iter().chain(line);
    match Cli::parse_from(line).command {
        Command::Top(args) => args,
        other => panic!("{other:?}"),
    }
}

/// The windows of a trace, two seconds each.
fn views(vm: Option<String>) -> Vec<View> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures/seed-nested");
    let recording = Recording::open_all(&[path]).unwrap();
    let options = LiveOptions {
        every_ns: 2_000_000_000,
        vm,
        entry_probed: false,
        vcpus_named: false,
        migrations_told: false,
    };
    let mut views = Vec::new();
    replay(&recording, 0, options, &Progress::default(), |view, _| {
        views.push(view)
    });
    views
}

fn app(line: &[&str], windows: usize) -> App {
    let args = args(line);
    let mut app = App::new("vfhost".to_owned(), &args);
    for view in views(args.vm).into_iter().take(windows) {
        app.take(Frame {
            view,
            lost: 0,
            missed: 0,
            own: 0.012,
        });
    }
    app
}

fn screen(app: &mut App, colours: bool) -> (String, Vec<Color>) {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal
        .draw(|frame| _ = draw(frame, app, colours))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    let mut colours = Vec::new();
    for y in 0..24 {
        let cells = (0..80).map(|x| &buffer[(x, y)]);
        let line: String = cells.clone().map(|cell| cell.symbol().to_owned()).collect();
        text += line.trim_end();
        text.push('\n');
        colours.extend(cells.map(|cell| cell.fg));
    }
    (text, colours)
}

fn press(app: &mut App, keys: &[KeyCode]) {
    for key in keys {
        let action = action(KeyEvent::new(*key, KeyModifiers::NONE), app.mode);
        app.act(action.unwrap(), 10);
    }
}

/// Compares a screen with the one that is kept.
fn shown(name: &str, app: &mut App) {
    let text = screen(app, true).0;
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/top/screens")
        .join(format!("{name}.txt"));
    if std::env::var_os("VIRTFLOW_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == kept, "{}:\n{text}", path.display());
}

#[test]
fn screens() {
    let mut app = app(&[], 2);
    shown("rows", &mut app);
    // Down over the host's processors to the first VM, which is opened.
    let down = KeyCode::Down;
    press(&mut app, &[down, down, down, KeyCode::Enter, down, down]);
    shown("opened", &mut app);
    press(&mut app, &[KeyCode::Char('/')]);
    for c in "L2:51".chars() {
        press(&mut app, &[KeyCode::Char(c)]);
    }
    shown("filtered", &mut app);
    press(&mut app, &[KeyCode::Esc, KeyCode::Char('?')]);
    shown("help", &mut app);
}

#[test]
fn a_frozen_screen_stays_until_it_thaws() {
    let mut views = views(None).into_iter();
    let mut app = app(&[], 1);
    press(&mut app, &[KeyCode::Char(' ')]);
    let before = app.view.as_ref().unwrap().end;
    let view = views.nth(1).unwrap();
    let later = view.end;
    app.take(Frame {
        view,
        lost: 3,
        missed: 5,
        own: 0.0,
    });
    assert_eq!(app.view.as_ref().unwrap().end, before);
    assert!(
        screen(&mut app, true).0.contains("3 lost  5 missed"),
        "what is lost is said at once"
    );
    press(&mut app, &[KeyCode::Char(' ')]);
    assert_eq!(app.view.as_ref().unwrap().end, later);
}

#[test]
fn keys_open_close_sort_and_move() {
    let mut app = app(&[], 2);
    let count = |app: &App| app.shown().len();
    let whole = count(&app);
    press(&mut app, &[KeyCode::Left]);
    assert!(count(&app) < whole, "the host's processors are closed");
    press(&mut app, &[KeyCode::Right]);
    assert_eq!(count(&app), whole);
    press(&mut app, &[KeyCode::Char('*')]);
    let open = count(&app);
    assert!(open > whole);
    press(&mut app, &[KeyCode::End]);
    let last = app.shown().last().unwrap().row.key.clone();
    assert_eq!(app.chosen, last);
    // What is chosen is on the screen, however many rows there are.
    let label = app.shown().last().unwrap().row.label.clone();
    assert!(screen(&mut app, true).0.contains(&label));
    press(
        &mut app,
        &[
            KeyCode::Left,
            KeyCode::Left,
            KeyCode::Char('*'),
            KeyCode::Char('*'),
        ],
    );
    assert!(count(&app) < open);
    let first = |app: &App| {
        app.shown()
            .iter()
            .find(|s| s.row.pid.is_some())
            .unwrap()
            .row
            .key
            .clone()
    };
    let by_run = first(&app);
    press(&mut app, &[KeyCode::Char('s')]);
    assert_eq!(app.sort, crate::args::SortKey::Kvm);
    press(&mut app, &[KeyCode::Char('S')]);
    assert_eq!(first(&app), by_run);
    press(&mut app, &[KeyCode::Char('q')]);
    assert!(app.quit);
}

#[test]
fn a_vm_that_is_not_there_is_missed_until_it_comes() {
    let last = |line: &[&str]| {
        let (text, _) = screen(&mut app(line, 1), false);
        text.lines()
            .last()
            .unwrap_or_default()
            .trim_end()
            .to_owned()
    };
    assert_eq!(
        last(&["--vm", "nosuch"]),
        "--vm nosuch: no such VM so far; seen: qemu-system-x86:139, qemu-system-x86:145"
    );
    assert!(last(&["--vm", "139"]).starts_with("q quit"));
}

#[test]
fn what_is_typed_is_no_command_while_a_filter_is_typed() {
    let mut app = app(&[], 1);
    press(&mut app, &[KeyCode::Char('/'), KeyCode::Char('q')]);
    assert!(!app.quit && app.mode == Mode::Filter && app.filter == "q");
    press(&mut app, &[KeyCode::Backspace, KeyCode::Enter]);
    assert!(app.mode == Mode::Rows && app.filter.is_empty());
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(action(control_c, Mode::Filter), Some(Action::Quit));
}

#[test]
fn without_colours_nothing_is_coloured() {
    let mut app = app(&[], 2);
    let coloured = |colours: &[Color]| colours.iter().any(|colour| *colour != Color::Reset);
    assert!(coloured(&screen(&mut app, true).1));
    assert!(!coloured(&screen(&mut app, false).1));
}

#[test]
fn a_small_screen_shows_what_it_can() {
    let mut app = app(&[], 2);
    for (width, height) in [(1, 1), (20, 3), (40, 10), (300, 100)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| _ = draw(frame, &mut app, true))
            .unwrap();
    }
}

#[test]
fn where_to_listen() {
    let at = |text: &str| args(&["--listen", text]).listen.unwrap().to_string();
    assert_eq!(at("9753"), "127.0.0.1:9753");
    assert_eq!(at(":9753"), "127.0.0.1:9753");
    assert_eq!(at("0.0.0.0:1"), "0.0.0.0:1");
    assert!(Cli::try_parse_from(["virtflow", "top", "--listen", "x"]).is_err());
    assert!(Cli::try_parse_from(["virtflow", "top", "--speed", "2"]).is_err());
}
