"""HTML pages of the login, without scripts; the icon is the only other file that they load."""

from __future__ import annotations

from html import escape

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of these pages."""

_STYLE = """
:root { color-scheme: light dark; --ground: #f3f6f2; --card: #fff; --ink: #17231a; --soft: #56655a; --line: #cfd8d0;
  --green: #1f7a3f; --error: #a4262c; }
@media (prefers-color-scheme: dark) { :root { --ground: #0f1511; --card: #182019; --ink: #e6eee7; --soft: #9dada1;
  --line: #344038; --green: #63c283; --error: #ff9a9a; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 380px; padding: 32px; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
header { display: flex; align-items: center; gap: 12px; margin-bottom: 20px; }
header img { width: 36px; height: 36px; }
h1 { margin: 0; font-size: 22px; font-weight: 600; }
p { margin: 0 0 16px; color: var(--soft); }
p[role=alert] { color: var(--error); }
label { display: block; margin-bottom: 14px; font-size: 14px; }
input { display: block; width: 100%; margin-top: 4px; padding: 10px 12px; font: inherit; color: inherit;
  background: var(--ground); border: 1px solid var(--line); border-radius: 8px; }
button, a.button { display: block; width: 100%; padding: 11px; border: 0; border-radius: 8px; font: inherit;
  font-weight: 600; text-align: center; text-decoration: none; cursor: pointer; background: var(--green);
  color: var(--card); }
:focus-visible { outline: 3px solid var(--green); outline-offset: 2px; }
"""


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} - Greenup</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="favicon.ico"><style>{_STYLE}</style></head><body><main><header>'
        f'<img src="favicon.ico" alt=""><h1>Greenup</h1></header>{body}</main></body></html>'
    )


def sign_in_page(following: str = "", user: str = "", error: str = "") -> str:
    """Return the login form.

    Parameters
    ----------
    following : str
        Path to open after the login.
    user : str
        User name to fill in.
    error : str
        Error message of the last attempt.
    """
    notice = f'<p role="alert">{escape(error)}</p>' if error else "<p>Sign in to use this server.</p>"
    first, second = (" autofocus", "") if not user else ("", " autofocus")
    return _page(
        "Sign in",
        f'{notice}<form method="post" action="login"><input type="hidden" name="next" value="{escape(following)}">'
        f'<label>User name<input name="user" autocomplete="username" required maxlength="200" value="{escape(user)}"'
        f'{first}></label><label>Password<input name="password" type="password" autocomplete="current-password" '
        f'required maxlength="1024"{second}></label><button>Sign in</button></form>',
    )


def sign_out_page(user: str) -> str:
    """Return the confirmation form of the logout."""
    return _page(
        "Sign out",
        f"<p>You are signed in as {escape(user)}. Your computations continue when you sign out.</p>"
        '<form method="post" action="logout"><button>Sign out</button></form>',
    )


def message_page(title: str, sentence: str, link: str) -> str:
    """Return a page with a sentence and a button that leads to the login.

    Parameters
    ----------
    title : str
        Title of the page.
    sentence : str
        Message.
    link : str
        Label of the button.
    """
    return _page(title, f'<p role="status">{escape(sentence)}</p><a class="button" href="login">{escape(link)}</a>')
