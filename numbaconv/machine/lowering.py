"""Numba's way from its own code to LLVM's, but that what holds no array is kept in memory only where it changes.

Numba gives memory to each variable that more than one block reads. It fills that with zeros, loads from it wherever the
variable is read and once more where it is set, to count references down, and stores zeros at its end. All that is
written as text, read and optimized away.
"""

from collections import Counter

from numba.core.compiler_machinery import register_pass
from numba.core.ir import Assign
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering


class _PlainLower(Lower):
    def _is_plain(self, name):
        """Whether a variable holds no references to be counted."""
        context = self.context
        return not context.enable_nrt or not context.nrt.counted(self.typeof(name))

    def _find_singly_assigned_variable(self):
        super()._find_singly_assigned_variable()
        if self._disable_sroa_like_opt or self.func_ir.is_generator:
            return
        set_in, often = {}, Counter()
        for at, block in self.blocks.items():
            for step in block.body:
                if isinstance(step, Assign):
                    set_in[step.target.name] = at
                    often[step.target.name] += 1
        lifetime = self.func_ir.variable_lifetime
        dominators = lifetime.cfg.dominators()
        # Read by a block that may run without the one that sets it, or is lowered before it.
        elsewhere = {
            name
            for at, names in lifetime.usedefs.usemap.items()
            for name in names
            if name in set_in and (set_in[name] >= at or set_in[name] not in dominators[at])
        }
        once = {name for name, times in often.items() if times == 1 and name not in elsewhere}
        self._singly_assigned_vars |= {name for name in once if self._is_plain(name)}

    def storevar(self, value, name, argidx=None):
        in_memory = argidx is None and name not in self._singly_assigned_vars
        if in_memory and not self._disable_sroa_like_opt and self._is_plain(name):
            self._alloca_var(name, self.typeof(name))
            self.builder.store(value, self.getvar(name))
        else:
            super().storevar(value, name, argidx)

    def delvar(self, name):
        if self._disable_sroa_like_opt or not self._is_plain(name):
            super().delvar(name)


@register_pass(mutates_CFG=True, analysis_only=False)
class PlainLowering(NativeLowering):
    """What `NativeLowering` is to Numba."""

    # Numba takes each name once, and keeps it where this module is imported anew.
    _name = f"plain_lowering_{id(_PlainLower)}"

    @property
    def lowering_class(self):
        return _PlainLower
