from service_home import case_folder, partial_case, played, stored_cases  # noqa: F401
