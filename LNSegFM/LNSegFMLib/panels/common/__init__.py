"""What all sections share: the host they lie in, work beside the panel, building one by one."""
