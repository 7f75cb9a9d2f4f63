"""The moving window: as a GIF, and as a page that can be paused and stepped."""

from __future__ import annotations

import io
import itertools
import json
import re
from dataclasses import fields
from html import escape
from pathlib import Path
from string import Template
from zlib import crc32

from matplotlib import rc_context
from matplotlib.animation import FuncAnimation, PillowWriter

from refconv.errors import ConvError
from refconv.figures.theme import THEMES, Theme, canvas, current, theme
from refconv.figures.window import Scene

__all__ = ["WindowAnimation", "animate_window"]

_MOST_FRAMES = 400


def animate_window(problem, *, input=None, weight=None) -> WindowAnimation:
    """Let the window of a convolution move over the input, one frame for each output element.

    Parameters
    ----------
    problem, input, weight
        As for `plot_window`.

    Returns
    -------
    WindowAnimation
        Shown by notebooks; its method `~WindowAnimation.save` writes GIF and HTML files.

    Raises
    ------
    ConvError
        As `plot_window`, and ``animate_window(): 676 frames are too many, at most 400``.

    Examples
    --------
    >>> from refconv import ConvProblem
    >>> from refconv.figures import animate_window
    >>> animation = animate_window(ConvProblem.from_shapes((1, 1, 5, 5), (1, 1, 3, 3)))
    >>> len(animation)
    9
    >>> animation.save("window.gif")  # doctest: +SKIP
    """
    scene = Scene.of("animate_window", problem, input, weight)
    positions = list(itertools.product(*map(range, scene.problem.output_size)))
    if len(positions) > _MOST_FRAMES:
        raise ConvError(f"animate_window(): {len(positions)} frames are too many, at most {_MOST_FRAMES}")
    return WindowAnimation(scene, positions)


class WindowAnimation:
    """A window that moves over the input; made by `animate_window`. Its length is the number of frames."""

    def __init__(self, scene: Scene, positions: list[tuple[int, int]]) -> None:
        self._scene = scene
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    def save(self, path, *, seconds=0.7) -> None:
        """Write the animation to a file.

        Parameters
        ----------
        path : str or Path
            Ending in ``.gif``, or in ``.html``: one page that needs no other file, follows the reader's choice of light
            or dark, and has buttons and keys to pause and to step.
        seconds : float, default 0.7
            How long each frame is shown.

        Raises
        ------
        ValueError
            ``an animation is saved as .gif or .html, not .mp4``
        """
        path = Path(path)
        if path.suffix == ".gif":
            self._save_gif(path, seconds)
        elif path.suffix == ".html":
            body = self.to_html(seconds=seconds)
            path.write_text(_PAGE.substitute(body=body, title=escape(self._title)), encoding="utf-8")
        else:
            raise ValueError(f"an animation is saved as .gif or .html, not {path.suffix or repr(path.name)}")

    def to_html(self, *, seconds=0.7) -> str:
        """Return the animation as an HTML element with its own script and style, to be put into a page.

        Parameters
        ----------
        seconds : float, default 0.7
            How long each frame is shown while it plays.

        Returns
        -------
        str
        """
        frames = "\n".join(f'<div class="frame" hidden>{self._svg(position)}</div>' for position in self._positions)
        return _PLAYER.substitute(
            frames=frames,
            last=len(self) - 1,
            title=escape(self._title, quote=True),
            milliseconds=round(1000 * seconds),
            captions=json.dumps([self._caption(position) for position in self._positions]),
            light=_variables(THEMES["light"]),
            dark=_variables(THEMES["dark"]),
        )

    def _repr_html_(self) -> str:
        return self.to_html()

    @property
    def _title(self) -> str:
        return f"The window of {self._scene.problem.descriptor} moving over its input"

    def _caption(self, position: tuple[int, int]) -> str:
        shown = position[self._scene.dropped :]
        terms = len(self._scene.taps(position))
        return f"output[{', '.join(map(str, shown))}]: a sum of {terms} {'product' if terms == 1 else 'products'}"

    def _save_gif(self, path: Path, seconds: float) -> None:
        figure, axes = canvas(*self._scene.size)
        bounds = axes.get_xlim(), axes.get_ylim()

        def draw(position):
            axes.clear()
            axes.set(xlim=bounds[0], ylim=bounds[1])
            axes.set_axis_off()
            self._scene.draw(axes, position)

        animation = FuncAnimation(figure, draw, frames=self._positions, init_func=lambda: None)
        animation.save(path, writer=PillowWriter(fps=1 / seconds), savefig_kwargs={"facecolor": current().ground})

    def _svg(self, position: tuple[int, int]) -> str:
        """One frame as an SVG element, whose colours are variables of the page."""
        with theme("light"), rc_context({"svg.fonttype": "none", "svg.hashsalt": "refconv"}):
            figure, axes = canvas(*self._scene.size)
            self._scene.draw(axes, position)
            file = io.StringIO()
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        svg = file.getvalue()[file.getvalue().index("<svg") :]
        # Names are unique on a page: those of the frame, and of the animation.
        prefix = f"{crc32(self._title.encode()):x}-{'-'.join(map(str, position))}-"
        svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{prefix}", svg)
        for field in fields(Theme):
            svg = svg.replace(getattr(THEMES["light"], field.name), f"var(--window-{field.name})")
        return svg


def _variables(colours: Theme) -> str:
    return " ".join(f"--window-{field.name}: {getattr(colours, field.name)};" for field in fields(colours))


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
  :root { color-scheme: light dark; }
  body { margin: 1rem auto; max-width: 60rem; padding: 0 1rem; font-family: system-ui, sans-serif; }
  body { background: #ffffff; color: #1b1e23; }
  @media (prefers-color-scheme: dark) { body { background: #131416; color: #e6e8eb; } }
</style>
$body
</html>
""")

# Colours follow the system, or the page's own switch where it has one that sets data-theme on the body.
_PLAYER = Template("""<div class="refconv-window" role="group" aria-label="$title" tabindex="0">
<style>
  .refconv-window { $light }
  @media (prefers-color-scheme: dark) { body:not([data-theme="light"]) .refconv-window { $dark } }
  body[data-theme="dark"] .refconv-window { $dark }
  .refconv-window svg { max-width: 100%; height: auto; }
  .refconv-window .controls { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
  .refconv-window button { font: inherit; padding: .15rem .7rem; color: inherit; background: transparent;
    border: 1px solid var(--window-line); border-radius: .3rem; cursor: pointer; }
  .refconv-window input { flex: 1 1 8rem; accent-color: var(--window-outline); }
</style>
<div class="frames">
$frames
</div>
<div class="controls">
  <button type="button" data-do="back" aria-label="One step back">&#8592;</button>
  <button type="button" data-do="play">Play</button>
  <button type="button" data-do="on" aria-label="One step on">&#8594;</button>
  <input type="range" min="0" max="$last" value="0" aria-label="Frame">
</div>
<p class="caption" aria-live="polite"></p>
<script>
(function (player) {
  const captions = $captions, frames = player.querySelectorAll(".frame"), slider = player.querySelector("input");
  const play = player.querySelector("[data-do=play]"), caption = player.querySelector(".caption");
  let now = 0, timer = null;
  function show(frame) {
    frames[now].hidden = true;
    now = (frame + frames.length) % frames.length;
    frames[now].hidden = false;
    slider.value = now;
    caption.textContent = captions[now];
  }
  function pause() { clearInterval(timer); timer = null; play.textContent = "Play"; }
  const actions = {
    back() { pause(); show(now - 1); },
    on() { pause(); show(now + 1); },
    play() {
      if (timer) { pause(); return; }
      timer = setInterval(() => show(now + 1), $milliseconds);
      play.textContent = "Pause";
    },
  };
  for (const button of player.querySelectorAll("button")) { button.onclick = actions[button.dataset.do]; }
  slider.oninput = () => { pause(); show(Number(slider.value)); };
  player.onkeydown = (event) => {
    if (event.target !== player) { return; }
    const action = { ArrowLeft: "back", ArrowRight: "on", " ": "play" }[event.key];
    if (action) { event.preventDefault(); event.stopPropagation(); actions[action](); }
  };
  show(0);
})(document.currentScript.parentElement);
</script>
</div>
""")
