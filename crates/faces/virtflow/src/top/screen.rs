//! The terminal: keys in, screens out, and left as it was found.

use super::app::{Action, App, Mode};
use super::draw::draw;
use super::source::{Message, Source};
use crate::Finish;
use crate::args::TopArgs;
use anyhow::Context;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

/// How often it is looked for windows and for whoever wants it to end.
const LOOK: Duration = Duration::from_millis(50);

/// The terminal is given back, whatever happens.
struct Given;

impl Drop for Given {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows windows until somebody wants to quit.
pub(super) fn run(
    args: &TopArgs,
    source: &mut Source,
    interrupted: &AtomicUsize,
) -> anyhow::Result<Finish> {
    // A panic gives the terminal back before it says what it is.
    let mut terminal = ratatui::try_init().context("cannot use the terminal")?;
    let given = Given;
    let mut app = App::new(source.name.clone(), args);
    let colours = std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let mut incomplete = false;
    let mut page = 1;
    let mut changed = true;
    while !app.quit && interrupted.load(Ordering::Relaxed) == 0 {
        if changed {
            terminal.draw(|frame| page = draw(frame, &mut app, colours))?;
        }
        changed = event::poll(LOOK)?;
        if changed {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if let Some(action) = action(key, app.mode) {
                        app.note.clear();
                        if action == Action::Record {
                            app.note = record(source);
                        }
                        app.act(action, page);
                    }
                }
                // Anything else may have changed the size.
                _ => {}
            }
        }
        loop {
            let message = match source.messages.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Disconnected) if !app.ended => {
                    anyhow::bail!("what gives the windows has ended unexpectedly");
                }
                Err(_) => break,
            };
            changed = true;
            match message {
                Message::Frame(frame) => app.take(*frame),
                Message::Recorded(what) => app.note = what,
                Message::Ended(how) => {
                    incomplete |= how?;
                    app.ended = true;
                    app.quit |= args.windows.is_some();
                }
            }
        }
    }
    drop(given);
    Ok(if incomplete || app.lost > 0 || app.missed > 0 {
        Finish::Incomplete
    } else {
        Finish::Complete
    })
}

/// Asks for a trace of the last while; what is to be said.
fn record(source: &Source) -> String {
    if !source.records {
        return "only what happens now can be recorded".to_owned();
    }
    let name = jiff::Zoned::now().strftime("virtflow-%Y%m%d-%H%M%S");
    let directory = std::path::PathBuf::from(name.to_string());
    let told = format!("{}: is being written", directory.display());
    source.record(directory);
    told
}

/// What a key means.
pub(super) fn action(key: KeyEvent, mode: Mode) -> Option<Action> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return Some(Action::Quit);
    }
    match mode {
        Mode::Filter => match key.code {
            KeyCode::Enter => Some(Action::Accept),
            KeyCode::Esc => Some(Action::Cancel),
            KeyCode::Backspace => Some(Action::Erase),
            KeyCode::Char(c) if !control => Some(Action::Type(c)),
            _ => None,
        },
        Mode::Help => match key.code {
            KeyCode::Char('q') => Some(Action::Quit),
            _ => Some(Action::Cancel),
        },
        Mode::Rows => of_rows(key.code),
    }
}

const fn of_rows(code: KeyCode) -> Option<Action> {
    Some(match code {
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Char(' ') => Action::Freeze,
        KeyCode::Up | KeyCode::Char('k') => Action::Up,
        KeyCode::Down | KeyCode::Char('j') => Action::Down,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::PageDown => Action::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Action::Top,
        KeyCode::End | KeyCode::Char('G') => Action::Bottom,
        KeyCode::Enter => Action::Toggle,
        KeyCode::Right | KeyCode::Char('l') => Action::Open,
        KeyCode::Left | KeyCode::Char('h') => Action::Close,
        KeyCode::Char('*') => Action::OpenAll,
        KeyCode::Char('s') => Action::Sort,
        KeyCode::Char('S') => Action::SortBack,
        KeyCode::Char('d') => Action::Detail,
        KeyCode::Char('r') => Action::Record,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Char('?') | KeyCode::F(1) => Action::Help,
        _ => return None,
    })
}
