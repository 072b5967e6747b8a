"""KNEE: as many connections as still raise goodput in proportion, and no more.

The law starts with a ramp (RAMP0 takes the baseline, RAMP multiplies) that ends where one more
connection no longer brings about half of what a free one would. Then it holds, and asks from time
to time whether the knee has moved: UP tries a few more connections, DOWN a few fewer, and each
returns unless the measured goodput speaks for it (`judging.py`). Goodput that changes by itself
starts the ramp anew (`regime.py`). Complaints of the server cut, once per burst, and set a ceiling
or a pace (`throttles.py`); a bandwidth limit that binds stops all probing (`capped.py`).
"""

from __future__ import annotations

from math import ceil

from hfdl_async.core.control.capped import Shedding
from hfdl_async.core.control.collapse import Collapse
from hfdl_async.core.control.config import FIRST_CONNECTIONS, GAP_SECONDS, LOOP_BUSY, ControlConfig
from hfdl_async.core.control.judging import (
    NOTHING_FOUND,
    Elasticity,
    Verdict,
    judge_down,
    judge_ramp,
    judge_up,
    world_changed,
)
from hfdl_async.core.control.meter import Meter, counts
from hfdl_async.core.control.probing import CONTENTION_LEAST, Probing
from hfdl_async.core.control.ramp import Ramp
from hfdl_async.core.control.regime import Regime
from hfdl_async.core.control.throttles import Throttles
from hfdl_async.core.control.trace import Figures
from hfdl_async.core.control.window import Level
from hfdl_async.core.controller import Decision, Mode, Sample

FEWEST_TICKS = 4  # of a baseline at rest
AGAIN_SECONDS = 15.0  # a second change of regime so soon was noise
NOISE_RAISE = 1.4
FALL_SECONDS = 10.0
PUSHED_SECONDS = 15.0  # so long a growth can be blamed for a fall
SHED = 0.75
GAINED = 1.03  # from so much on a spare step is worth keeping
CLEARLY_NEEDED = 0.5
HINT_LEAST, HINT_MOST = 4, 32


class KneeController:
    """The adaptive law; deterministic, without a clock, of constant size."""

    def __init__(
        self, config: ControlConfig | None = None, *, seed: int = 0, hint: int | None = None
    ) -> None:
        self._config = config or ControlConfig()
        first = self._config.first if hint is None else max(HINT_LEAST, min(hint, HINT_MOST))
        self._target = self._within(first, self._config.most)
        self._mode: Mode = "RAMP0"
        self._base = Level(self._target, 0.0, 0.0)
        self._good = self._target  # the fewest connections of a downward chain that were enough
        self._origin: float | None = None
        self._last_t = 0.0
        self._veto = False
        self._regime_at = -AGAIN_SECONDS
        self._grew_at = -PUSHED_SECONDS
        self._collapse = Collapse()
        self._ramp = Ramp(self._config, gently=hint is not None)
        self._meter = Meter()
        self._regime = Regime()
        self._throttles = Throttles(self._config.most)
        self._shedding = Shedding()
        self._probing = Probing(self._config, seed)
        self._found = NOTHING_FOUND

    def start(self) -> Decision:
        """Return the decision before anything was measured."""
        return self._decision("start")

    def observe(self, sample: Sample) -> Decision:
        """Return the decision after one more tick."""
        if self._origin is None:
            self._origin = self._last_t = sample.t - sample.dt
        gap = max(sample.dt, sample.t - self._last_t) >= GAP_SECONDS
        self._last_t = sample.t
        if gap:
            return self._decision(self._woke_up())
        return self._decision(self._step(sample, sample.t - self._origin))

    def figures(self) -> Figures:
        """Return what the last decision was based on."""
        return Figures(
            rate=self._meter.rate,
            elasticity=self._found.e,
            error=self._found.error,
            sigma=self._meter.noise.sigma,
            ceiling=self._throttles.ceiling,
        )

    # ---- one tick ----------------------------------------------------------------------------

    def _step(self, sample: Sample, now: float) -> str:
        mix_changed = self._meter.note(sample)
        complaint = self._throttles.observe(sample, now, self._target, small=self._meter.small)
        if complaint is not None:
            self._target = self._within(min(self._target, complaint.target), self._config.most)
            return self._to_hold(now, complaint.reason)
        self._veto = sample.blocked or sample.loop_busy > LOOP_BUSY
        if self._limited(sample, now):
            return "uncapped" if sample.uncapped else "limited"
        if self._mode == "CAPPED":
            return self._to_hold(now, "limit-gone")
        if mix_changed and not self._ramp.first:
            return self._to_ramp("mix-changed", after_drop=False)
        if now < self._throttles.quiet_until:
            return "told-to-wait"
        if not counts(sample, self._target, paced=self._throttles.paced):
            return "starved" if sample.starved else "idle"
        growing = self._mode in ("RAMP0", "RAMP", "UP")
        if not self._meter.measure(sample, self._target, growing=growing):
            return "settling"
        return self._decide(now)

    def _decide(self, now: float) -> str:
        """Act on one more tick of the present window."""
        if self._mode == "HOLD":
            return self._hold(now)
        if self._mode == "RAMP0":
            return self._take_baseline(now)
        self._found = Elasticity.between(self._base, self._meter.level(self._target))
        if self._mode == "DOWN":
            return self._down(now)
        return self._judge_round(now) if self._mode == "RAMP" else self._up(now)

    def _limited(self, sample: Sample, now: float) -> bool:
        was = self._shedding.active
        target = self._shedding.observe(
            now,
            self._target,
            limited=sample.limited,
            uncapped=sample.uncapped,
            least=self._config.least,
        )
        if self._shedding.active and not was and self._mode in ("RAMP", "UP", "DOWN"):
            target = self._base.connections  # a probe that the limit has made void
            self._shedding.free_target = target
        if target != self._target:
            self._target = self._within(target, self._throttles.ceiling)
        if self._shedding.active:
            self._mode = "CAPPED"
        return self._shedding.active

    def _woke_up(self) -> str:
        self._shedding.reset()
        self._target = min(self._target, FIRST_CONNECTIONS)
        self._regime_at = -AGAIN_SECONDS
        self._probing.reset()
        return self._to_ramp("gap", after_drop=False)

    # ---- the phases --------------------------------------------------------------------------

    def _take_baseline(self, now: float) -> str:
        if self._meter.window.count < 2:
            return "baseline"
        return self._next_round(now)

    def _next_round(self, now: float) -> str:
        self._base = self._meter.level(self._target)
        if self._veto or self._target >= self._throttles.ceiling:
            if not self._veto:
                self._probing.each_counts(self._found)
            return self._to_hold(now, "veto" if self._veto else "at-ceiling")
        sigma, small = self._meter.noise.sigma, self._meter.small
        self._move(self._ramp.next_target(self._base, sigma, small=small), "RAMP")
        return "ramp"

    def _judge_round(self, now: float) -> str:
        ticks = self._meter.window.count
        if self._collapse.has_come(self._found, ticks):
            return self._collapsed(now)
        if not self._ramp.first and self._found.not_our_doing:
            self._move(self._base.connections, "RAMP0")
            return "not-ours"
        demand = self._ramp.demand(self._base.connections)
        verdict = judge_ramp(self._found, ticks, demand)
        if verdict is Verdict.MEASURE:
            return "ramp"
        if verdict is Verdict.KEEP:
            return self._next_round(now)
        later = not self._ramp.first
        knee = self._ramp.knee(self._base, self._target, self._found)
        self._probing.ramp_ended(knee, self._sign_of_rivals())
        self._target = self._within(knee, self._throttles.ceiling)
        self._to_hold(now, "knee")
        if later and self._found.e >= CONTENTION_LEAST:
            self._probing.soon(now)  # a doubling was too much, a smaller step may not be
        return "knee"

    def _hold(self, now: float) -> str:
        turn = self._regime.observe(self._meter.rate, self._meter.noise.sigma)
        if turn is not None:
            return self._turned(now, turn)
        level = self._meter.level(self._target)
        if self._collapse.wrongly_blamed(level, self._meter.window.count):
            self._throttles.forgive()
            return self._to_ramp("no-collapse", after_drop=True)
        if self._meter.window.count < FEWEST_TICKS:
            return "hold"
        if self._throttles.ceiling_set and self._collapse.lasts(level.rate):
            return "collapsed"
        self._probing.learn(self._meter)
        room = self._throttles.ceiling - self._target
        direction = self._probing.due(
            now, can_grow=room > 0 and not self._veto, can_shrink=self._target > self._config.least
        )
        if direction is None:
            return "hold"
        self._base, self._good = level, self._target
        if direction == "UP":
            return self._try_more()
        self._probing.begin_chain()
        return self._try_fewer()

    def _try_more(self) -> str:
        self._move(self._target + self._probing.more(self._target), "UP")
        return "probe-up"

    def _try_fewer(self) -> str:
        self._move(self._target - self._probing.fewer(self._target), "DOWN")
        return "probe-down"

    def _up(self, now: float) -> str:
        ticks = self._meter.window.count
        if self._collapse.has_come(self._found, ticks):
            return self._collapsed(now)
        base = self._base.connections
        if self._found.not_our_doing:
            self._target = base
            self._to_hold(now, "not-ours")
            self._probing.soon(now)
            return "not-ours"
        verdict = judge_up(self._found, ticks, self._config.demand_to_grow(base))
        if verdict is Verdict.MEASURE:
            return "probe-up"
        if verdict is Verdict.KEEP:
            self._probing.grew()
            self._base = self._meter.level(self._target)
            if self._veto or self._target >= self._throttles.ceiling:
                self._probing.each_counts(self._found)
                return self._to_hold(now, "grew")
            return self._try_more()
        spare = self._found.ratio >= GAINED and not self._veto
        self._target = self._within(
            self._probing.after_failed_growth(base, self._sign_of_rivals(), gained=spare),
            max(base, self._throttles.ceiling),
        )
        return self._to_hold(now, "no-growth", self._base.rate)

    def _down(self, now: float) -> str:
        base, probe = self._base, self._meter.level(self._target)
        if world_changed(base, probe):
            return self._to_ramp("world-changed", after_drop=False)
        shrink = 1.0 - self._target / base.connections
        tolerated = self._config.tolerated_loss(base.connections, base.rate, shrink)
        verdict = judge_down(base, probe, self._meter.window.count, tolerated)
        if verdict is Verdict.MEASURE:
            return "probe-down"
        if verdict is Verdict.KEEP:
            self._good = self._target
            self._probing.shrank()
            if self._target > self._config.least:
                return self._try_fewer()
        slow = base.rate / base.connections < self._config.floor_rate
        spare = self._probing.end_chain(
            base.connections, self._good, self._sign_of_rivals(), slow=slow
        )
        if spare < 0:
            self._target = self._within(base.connections + spare, self._config.most)
            return self._to_hold(now, "contention")
        self._target = self._within(min(base.connections, self._good + spare), self._config.most)
        reason = "shrank" if self._good < base.connections else "no-shrinking"
        if self._good == base.connections:
            self._probing.each_counts(self._found)
        self._to_hold(now, reason, base.rate)
        if self._good == base.connections and self._found.clearly(CLEARLY_NEEDED):
            self._probing.soon(now, self._config.hold_seconds)
        return reason

    # ---- changes from outside ----------------------------------------------------------------

    def _turned(self, now: float, turn: str) -> str:
        again = now - self._regime_at < AGAIN_SECONDS
        self._regime_at = now
        if turn == "fall" and now - self._grew_at < PUSHED_SECONDS:
            self._target = self._within(ceil(SHED * self._target), self._config.most)
            self._throttles.wait_until(now + FALL_SECONDS)
            return self._to_ramp("fall", after_drop=True)
        if again:
            self._meter.noise.raise_by(NOISE_RAISE)
        self._probing.reset()
        return self._to_ramp(f"regime-{turn}", after_drop=turn != "up")

    def _collapsed(self, now: float) -> str:
        base = self._base.connections
        self._throttles.collapse(base, now)
        self._collapse.note(self._base, self._meter.level(self._target))
        self._target = self._within(ceil(SHED * base), self._config.most)
        return self._to_hold(now, "collapse")

    def _sign_of_rivals(self) -> float:
        """Return the elasticity found, or none when it is this process that is full."""
        return 0.0 if self._veto else self._found.e

    # ---- moving ------------------------------------------------------------------------------

    def _move(self, target: int, mode: Mode) -> None:
        before = self._target
        self._target = self._within(target, max(self._throttles.ceiling, 1))
        if self._target > before:
            self._grew_at = self._last_t - (self._origin or 0.0)
        self._mode = mode
        self._meter.changed()

    def _to_ramp(self, reason: str, *, after_drop: bool) -> str:
        self._mode = "RAMP0"
        self._ramp.begin(gently=after_drop)
        self._found = NOTHING_FOUND
        self._meter.changed()
        return reason

    def _to_hold(self, now: float, reason: str, expected: float | None = None) -> str:
        self._mode = "HOLD"
        self._ramp.first = False
        self._meter.changed()
        if expected is None:
            self._regime.reset()
        else:
            self._regime.expect(expected)
        self._probing.rest(now)
        return reason

    def _within(self, target: int, most: int) -> int:
        return max(self._config.least, min(target, most))

    def _decision(self, reason: str) -> Decision:
        return Decision(self._target, self._throttles.start_rate, reason, self._mode)
